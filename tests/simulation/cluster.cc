#include "tests/simulation/cluster.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/cluster/key_view.h"
#include "common/cluster/numbered_key.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/ingest/ingest.h"
#include "coordinator/ingest/input_reader.h"
#include "coordinator/ingest/job_creation.h"
#include "coordinator/leader/leader.h"
#include "coordinator/update/code_update.h"
#include "tests/simulation/threads.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kRestart = absl::Milliseconds(50);  // of what ended by itself
constexpr absl::Duration kLeaderWait = absl::Milliseconds(50);
constexpr absl::Duration kIngestWait = absl::Milliseconds(5);
constexpr size_t kEventsAPoll = 1024;
constexpr size_t kUnconfirmedBytes = 512;  // of an ingest in a partition: records flow while things break

std::string UidOf(uint64_t seed, uint32_t number) {
  return absl::StrFormat("%08x%08x", number, seed & 0xffffffff);
}

}  // namespace

std::string Cluster::Place::name() const {
  const char* const kind = role == Role::kWorker        ? "w"
                           : role == Role::kCoordinator ? "c"
                           : role == Role::kIngest      ? "i"
                                                        : "u";
  return StrCat(kind, number);
}

Cluster::Cluster(const ClusterOptions& options)
    : options_(options), kernel_(options.seed), network_(kernel_), ledger_(options.ledger, options.seed) {
  const auto add = [](std::vector<std::unique_ptr<Place>>& places, Role role) -> Place& {
    places.push_back(std::make_unique<Place>());
    places.back()->role = role;
    places.back()->number = static_cast<uint32_t>(places.size());
    return *places.back();
  };
  for (uint32_t i = 0; i < options.workers; ++i) {
    add(workers_, Role::kWorker).disk = std::make_unique<Disk>(kernel_);
  }
  for (uint32_t i = 0; i < options.coordinators; ++i) add(coordinators_, Role::kCoordinator);
  add(ingests_, Role::kIngest);
  for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
    static_cast<void>(network_.direct().CreateBucket(bucket));
  }
  std::ofstream(options.folder + "/input", std::ios::binary) << ledger_.InputText();
  if (absl::StatusOr<JobSpec> spec = ParseJob(kJobName, ledger_.JobText(kJobName)); spec.ok())
    spec_ = *std::move(spec);
  uid_ = UidOf(options.seed, ++jobs_);
  oracle_ = std::make_unique<Oracle>(network_, ledger_, kJobName, uid_);
}

Cluster::~Cluster() {
  for (Place* place : places()) {
    place->wanted = false;
    if (place->process != nullptr) kernel_.Kill(*place->process);
  }
}

std::vector<Cluster::Place*> Cluster::places() {
  std::vector<Place*> all;
  for (const auto* kind : {&workers_, &coordinators_, &ingests_, &updates_}) {
    for (const auto& place : *kind) all.push_back(place.get());
  }
  return all;
}

void Cluster::Start() {
  for (Place* place : places()) Start(*place);
}

void Cluster::Start(Place& place) {
  if (place.process != nullptr || !place.wanted) return;
  Process& process = kernel_.NewProcess(StrCat(place.name(), ".", ++place.lives));
  kernel_.Note("starts", process.name);
  place.process = &process;
  process.on_end = [this, &place, &process] { Ended(place, process); };
  kernel_.Spawn(process, "main", [this, &place, &process] {
    switch (place.role) {
      case Role::kWorker:
        return RunWorker(place, process);
      case Role::kCoordinator:
        return RunCoordinator(place, process);
      case Role::kIngest:
        return RunIngest(place, process);
      case Role::kUpdate:
        return RunUpdate(place, process);
    }
  });
}

void Cluster::Ended(Place& place, Process& process) {
  if (place.process != &process) return;
  place.process = nullptr;
  if (process.dying || restart_after_.has_value()) ++deaths_;
  if (place.disk != nullptr) CheckDisk(place);
  if (place.wanted) kernel_.After(restart_after_.value_or(kRestart), [this, &place] { Start(place); });
}

void Cluster::Kill(Place& place, absl::Duration away) {
  if (place.process == nullptr) return;
  restart_after_ = away;
  kernel_.Kill(*place.process);
  restart_after_.reset();
}

void Cluster::CutPower(Place& place, absl::Duration away) {
  Kill(place, away);
  if (place.disk == nullptr) return;
  place.disk->CutPower();
  CheckDisk(place);
}

void Cluster::Stop(Place& place, absl::Duration how_long) {
  if (place.process == nullptr || place.process->stopped) return;
  Process* const process = place.process;
  kernel_.Note("stops", process->name);
  process->stopped = true;
  kernel_.After(how_long, [this, process] {
    network_.FillBuffers(*process);
    process->stopped = false;
    kernel_.Note("goes on", process->name);
  });
}

void Cluster::Suspend(Place& place, absl::Duration how_long) {
  if (place.process == nullptr || place.process->stopped) return;
  place.process->clock_leap -= how_long;
  Stop(place, how_long);
}

void Cluster::LoseDisk(Place& place, absl::Duration away) {
  Kill(place, away);
  if (place.disk == nullptr) return;
  place.disk->LoseEverything();
  std::filesystem::remove_all(DataFolder(place));
}

std::string Cluster::DataFolder(const Place& place) const {
  return StrCat(options_.folder, "/", place.name());
}

void Cluster::RunWorker(Place& place, Process& process) {
  SimClock clock(kernel_, &process);
  SimThreads threads(kernel_, process);
  WorkerOptions options;
  options.name = place.name();
  options.data_dir = DataFolder(place);
  options.lanes = options_.lanes;
  options.memory_bytes = options_.memory_bytes;
  options.version = "simulated";
  options.seed = options_.seed * 1000 + process.number;
  options.threads = &threads;
  options.make_db_resources = [&](const DbResources::Options&) {
    return place.disk->Mount(process,
                             [this](const std::string&, const Rows& rows) { oracle_->CheckCommit(rows); });
  };
  options.end_process = [this](int) {
    if (!kernel_.current()->unwinding) kernel_.KillCurrent();  // one that is dead already passes here, too
  };
  const auto connect = [&](const std::string& purpose) -> absl::StatusOr<std::unique_ptr<Bus>> {
    // The watchdog asks under its lock.
    return network_.Connect(process,
                            purpose == "watchdog" ? Network::Style::kAtomic : Network::Style::kYields);
  };
  absl::StatusOr<std::unique_ptr<WorkerRuntime>> runtime = WorkerRuntime::Create(options, connect, clock);
  if (!runtime.ok()) return;
  static_cast<void>((*runtime)->Run([&place] { return !place.wanted; }));
}

void Cluster::RunCoordinator(Place& place, Process& process) {
  SimClock clock(kernel_, &process);
  const std::unique_ptr<Bus> bus = network_.Connect(process);
  Leadership::Options options;
  options.self.id = StrCat(place.name(), "-", place.lives);
  options.lease_ttl = options_.lease_ttl;
  options.seed = options_.seed + process.number;
  Leader leader(options, *bus, clock);
  std::vector<BusEvent> events;
  while (true) {
    events.clear();
    bus->Poll(kLeaderWait, kEventsAPoll, &events);
    for (const BusEvent& event : events) leader.HandleEvent(event);
    leader.Step();
  }
}

void Cluster::RunIngest(Place& place, Process& process) {
  const absl::Status status = Submit(place, process);
  // One that was overtaken by a later one leaves the rest to it, as does one that is done.
  if (status.ok() || absl::IsAborted(status) || absl::IsNotFound(status)) place.wanted = false;
  if (!status.ok()) kernel_.Note(StrCat("gives up: ", ToStd(status.message())), process.name);
}

// As a user, who goes on with the file of the last update.
JobSpec Cluster::SpecInForce() {
  MemoryBus& direct = network_.direct();
  JobSpec spec = spec_;
  for (uint64_t version = 1;; ++version) {
    const absl::StatusOr<KeyValue> key = direct.GetKey(kJobsBucket, CodeKey(uid_, version));
    const absl::StatusOr<CodeVersion> code = DecodeCodeVersion(key.ok() ? key->value : "");
    absl::StatusOr<JobSpec> next = ParseJob(kJobName, code.ok() ? code->spec_text : "");
    if (!next.ok()) return spec;
    spec = *std::move(next);
  }
}

absl::Status Cluster::Submit(Place& place, Process& process) {
  SimClock clock(kernel_, &process);
  const std::unique_ptr<Bus> bus = network_.Connect(process);
  InputOptions input_options;
  absl::StatusOr<std::unique_ptr<InputReader>> input =
      InputReader::Open({options_.folder + "/input"}, input_options);
  if (!input.ok()) return input.status();
  absl::StatusOr<std::unique_ptr<KeyExtractor>> extractor = KeyExtractor::Create(spec_);
  if (!extractor.ok()) return extractor.status();
  const JobSpec spec = SpecInForce();
  JobRequest request;
  request.spec = &spec;
  request.inputs = (*input)->Identities();
  request.new_uid = uid_;
  request.now_ms = absl::ToUnixMillis(clock.Now());
  request.stream_creators = 1;
  const absl::StatusOr<JobRecord> job = EnsureJob(*bus, request);
  if (!job.ok()) return absl::UnavailableError(job.status().message());

  IngestOptions options;
  options.job = kJobName;
  options.uid = job->uid;
  options.partitions = job->partitions;
  options.claimer = process.name;
  options.max_frame_records = options_.frame_records;
  options.max_frame_bytes = options_.frame_bytes;
  options.append.max_partition_bytes = kUnconfirmedBytes;
  options.append.max_bytes = kUnconfirmedBytes * job->partitions;
  Ingest ingest(options, *bus, clock, **input, **extractor);
  std::vector<BusEvent> events;
  while (!ingest.done()) {
    ingest.Pump();
    events.clear();
    bus->Poll(kIngestWait, kEventsAPoll, &events);
    for (const BusEvent& event : events) ingest.Handle(event);
    kernel_.Sleep(kernel_.RandomDuration(absl::ZeroDuration(), options_.feed_pause));
    if (!place.wanted) return absl::AbortedError("not wanted any more");
  }
  return ingest.status();
}

void Cluster::StartSecondIngest() {
  ingests_.push_back(std::make_unique<Place>());
  ingests_.back()->role = Role::kIngest;
  ingests_.back()->number = static_cast<uint32_t>(ingests_.size());
  Start(*ingests_.back());
}

void Cluster::StartUpdate() {
  updates_.push_back(std::make_unique<Place>());
  updates_.back()->role = Role::kUpdate;
  updates_.back()->number = static_cast<uint32_t>(updates_.size());
  Start(*updates_.back());
}

void Cluster::RunUpdate(Place& place, Process& process) {
  const absl::Status status = Update(place, process);
  if (status.ok()) place.wanted = false;
  if (!status.ok()) kernel_.Note(StrCat("no update: ", ToStd(status.message())), process.name);
}

absl::Status Cluster::Update(Place& place, Process& process) {
  SimClock clock(kernel_, &process);
  const std::unique_ptr<Bus> bus = network_.Connect(process);
  const absl::StatusOr<KeyValue> there = bus->GetKey(kJobsBucket, JobKey(kJobName));
  if (!there.ok()) return there.status();
  const absl::StatusOr<JobRecord> job = DecodeJobRecord(there->value);
  if (!job.ok()) return job.status();
  const absl::StatusOr<JobSpec> next =
      ParseJob(kJobName, ledger_.JobText(kJobName, place.number * kUpdateBonus));
  if (!next.ok()) return next.status();
  UpdateRequest request;
  request.next = &*next;
  request.now_ms = absl::ToUnixMillis(clock.Now());
  request.stream_creators = 1;
  return UpdateCode(*bus, *job, request).status();
}

void Cluster::Cancel() {
  static_cast<void>(network_.direct().CreateKey(kAssignmentsBucket, StrCat("cmd.", uid_, ".1"),
                                                Encode(Command{"cancel", "the user"})));
  network_.Changed(StrCat("KV_", kAssignmentsBucket));
}

WorkerLease Cluster::Lease(const Place& place) {
  const absl::StatusOr<KeyValue> lease = network_.direct().GetKey(kWorkersBucket, StrCat("w.", place.name()));
  const absl::StatusOr<WorkerLease> decoded = DecodeWorkerLease(lease.ok() ? lease->value : "");
  return decoded.value_or(WorkerLease());
}

void Cluster::RepeatLease(const Place& place) {
  const std::string key = StrCat("w.", place.name());
  const absl::StatusOr<KeyValue> lease = network_.direct().GetKey(kWorkersBucket, key);
  if (!lease.ok()) return;
  static_cast<void>(network_.direct().PutKey(kWorkersBucket, key, lease->value));
  network_.Changed(StrCat("KV_", kWorkersBucket));
}

void Cluster::DeleteJob() {
  MemoryBus& direct = network_.direct();
  static_cast<void>(direct.DeleteKey(kJobsBucket, StrCat("job.", kJobName)));
  network_.Changed(StrCat("KV_", kJobsBucket));
  const absl::StatusOr<std::vector<std::string>> streams = direct.ListStreams();
  for (const std::string& stream : *streams) {
    if (stream.starts_with("mr-")) static_cast<void>(direct.DeleteStream(stream));
    network_.Changed(stream);
  }
}

void Cluster::SubmitAnew() {
  uid_ = UidOf(options_.seed, ++jobs_);
  final_.reset();
  oracle_ = std::make_unique<Oracle>(network_, ledger_, kJobName, uid_);
  ingests_.push_back(std::make_unique<Place>());
  ingests_.back()->role = Role::kIngest;
  ingests_.back()->number = static_cast<uint32_t>(ingests_.size());
  Start(*ingests_.back());
}

std::map<std::string, KeyValue, std::less<>> Cluster::Assignments() {
  auto entries = ReadBucket(network_.direct(), kAssignmentsBucket);
  if (!entries.ok()) return {};
  return *std::move(entries);
}

Cluster::Place* Cluster::OwnerOf(uint32_t partition, uint32_t segment) {
  const size_t index = partition + (segment == 0 ? 0 : ledger_.options().partitions);
  NumberedKey greatest;
  Assignment in_force;
  for (const auto& [key, value] : Assignments()) {
    const auto number = ParseNumberedKey(key, "assign.", 2);
    if (value.deleted || !number.has_value() || *number < greatest) continue;
    greatest = *number;
    if (absl::StatusOr<Assignment> decoded = DecodeAssignment(value.value); decoded.ok()) in_force = *decoded;
  }
  for (const JobAssignment& job : in_force.jobs) {
    if (job.uid != uid_ || index >= job.owners.size()) continue;
    for (const auto& place : workers_) {
      if (place->name() == job.owners[index]) return place.get();
    }
  }
  return nullptr;
}

Cluster::Place* Cluster::LeaderPlace() {
  NumberedKey greatest;
  Term term;
  for (const auto& [key, value] : Assignments()) {
    const auto number = ParseNumberedKey(key, "term.", 1);
    if (value.deleted || !number.has_value() || *number < greatest) continue;
    greatest = *number;
    if (absl::StatusOr<Term> decoded = DecodeTerm(value.value); decoded.ok()) term = *decoded;
  }
  for (const auto& place : coordinators_) {
    if (place->process != nullptr && StrCat(place->name(), "-", place->lives) == term.leader)
      return place.get();
  }
  return nullptr;
}

std::optional<FinalStatus> Cluster::Final() {
  if (final_.has_value()) return final_;
  const absl::StatusOr<KeyValue> key = network_.direct().GetKey(kAssignmentsBucket, StrCat("final.", uid_));
  if (!key.ok()) return std::nullopt;
  const absl::StatusOr<FinalStatus> decoded = DecodeFinalStatus(key->value);
  if (decoded.ok()) final_ = *decoded;
  return final_;
}

void Cluster::CheckDisk(const Place& place) {
  for (const std::string& folder : place.disk->folders()) oracle_->CheckState(place.disk->Look(folder));
}

void Cluster::CheckDisks() {
  for (const auto& place : workers_) CheckDisk(*place);
}

}  // namespace millrace::sim
