// `coordinator submit`: makes the job, feeds its input, and waits for its end if asked to.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/broker_limits.h"
#include "common/bus/replicas.h"
#include "common/clock.h"
#include "common/names.h"
#include "common/pipeline/pipeline.h"
#include "common/random_id.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/ingest/added_input.h"
#include "coordinator/ingest/input_paths.h"
#include "coordinator/ingest/input_reader.h"
#include "coordinator/ingest/job_creation.h"
#include "coordinator/ingest/job_feed.h"
#include "coordinator/sources/source_stream.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/update/code_update.h"
#include "coordinator/views/cluster.h"

namespace millrace {
namespace {

struct SubmitFlags {
  std::string file;
  std::vector<std::string> inputs;
  std::string name;
  bool names = false;  // also where the name is empty
  std::string plugins;
  std::vector<std::string> sets;
  bool update = false;
  bool wait = false;
  absl::Duration timeout = absl::InfiniteDuration();
  int64_t replicas = 1;
};

absl::StatusOr<JobSpec> ReadJob(const SubmitFlags& flags, CodeFiles& files) {
  std::vector<std::string> sets = flags.sets;
  if (flags.names) {
    // `--name --wait` forgot the name; `--name -x` would be a flag to every other command.
    if (!IsValidName(flags.name) || flags.name.starts_with('-')) {
      return absl::InvalidArgumentError(
          StrCat("--name ", flags.name,
                 " — a job's name is 1 to 64 letters, digits, _ and - — try --name delays-2"));
    }
    sets.push_back(StrCat("name=\"", flags.name, "\""));
  }
  return LoadJob(flags.file, files, sets);
}

// Whether to wait for input that does not come.
absl::Status CheckPatience(const SubmitFlags& flags, absl::Duration start) {
  if (const absl::Status stopped = CheckInterrupted(); !stopped.ok()) return stopped;
  if (SystemClock().Monotonic() - start < flags.timeout) return absl::OkStatus();
  return absl::DeadlineExceededError(StrCat("the input gave nothing within --timeout ",
                                            absl::FormatDuration(flags.timeout),
                                            " — does what writes it run? — the same command goes on"));
}

// Before anything is made: a wrong header would leave a job that nothing can be fed to. Of a pipe behind the
// first input nothing is known yet.
absl::Status CheckCsvHeaders(const SubmitFlags& flags, const InputOptions& options, InputReader& first,
                             KeyExtractor& extractor) {
  for (size_t i = 0; i < flags.inputs.size(); ++i) {
    std::unique_ptr<InputReader> later;
    if (i > 0) {
      std::error_code ignored;
      if (!std::filesystem::is_regular_file(flags.inputs[i], ignored)) continue;
      absl::StatusOr<std::unique_ptr<InputReader>> opened = InputReader::Open({flags.inputs[i]}, options);
      if (!opened.ok()) return opened.status();
      later = *std::move(opened);
    }
    const auto header = (later != nullptr ? *later : first).PeekFirstLine();
    if (!header.ok()) return header.status();
    if (!header->has_value()) continue;
    if (const absl::Status fits = extractor.SetCsvHeader(**header); !fits.ok()) {
      return absl::InvalidArgumentError(StrCat(flags.inputs[i], ":1: ", ToStd(fits.message()),
                                               " — nothing was submitted — try `head -n 1 ", flags.inputs[i],
                                               "`"));
    }
  }
  return absl::OkStatus();
}

// One submission, from the connection on.
class Submission {
 public:
  // `input` may be null for a job whose source never ends: the leading coordinator reads that.
  Submission(const SubmitFlags& flags, const JobSpec& spec, InputReader* input, KeyExtractor& extractor,
             Bus& bus, absl::Duration start)
      : flags_(flags),
        spec_(spec),
        input_(input),
        extractor_(extractor),
        bus_(bus),
        clock_(SystemClock()),
        start_(start) {}

  absl::Status Run() {
    if (const absl::Status fit = CheckServerPayload(bus_); !fit.ok()) return fit;
    JobRequest request;
    request.spec = &spec_;
    const absl::StatusOr<std::vector<InputFile>> inputs = Inputs();
    if (!inputs.ok()) return inputs.status();
    request.inputs = *inputs;
    request.new_uid = RandomId();
    request.now_ms = absl::ToUnixMillis(clock_.Now());
    request.replicas = static_cast<int>(flags_.replicas);
    if (flags_.update) {
      if (const absl::Status updated = UpdateIfItRuns(request); !updated.ok()) return updated;
    }
    const absl::StatusOr<JobRecord> job = EnsureJob(bus_, request);
    if (!job.ok()) return job.status();
    JobFeed& feed = feed_.emplace(spec_, job->uid, bus_, clock_, FeedLimits{start_, flags_.timeout});
    uid_ = job->uid;

    if (const absl::Status looked = feed.LookAtEnd(); !looked.ok()) return looked;
    if (spec_.source.unbounded()) {
      if (!feed.final_status().has_value()) {
        Say(StrCat("job ", spec_.name, " reads stream ", job->inputs.front().name,
                   spec_.source.subject.empty() ? "" : StrCat(", subject ", spec_.source.subject),
                   ", for ever — `coordinator status ", spec_.name, "` tells how far"));
        if (const absl::Status added = AddInput(); !added.ok()) return added;
      }
      return flags_.wait ? feed.WaitForEnd() : absl::OkStatus();
    }
    const absl::StatusOr<bool> fed = WasFed(kIngestWriter);
    if (!fed.ok()) return fed.status();
    if (*fed) {
      Say(StrCat("job ", spec_.name, ": all ", feed.records(), " records were fed before; nothing to do"));
    } else if (!feed.final_status().has_value()) {
      if (const absl::Status done = Feed(kIngestWriter); !done.ok()) return ExplainStop(done);
    }
    return flags_.wait ? feed.WaitForEnd() : absl::OkStatus();
  }

  // REQUIRES: Run went well.
  const JobFeed& feed() const { return *feed_; }

 private:
  absl::StatusOr<std::vector<InputFile>> Inputs() {
    if (!spec_.source.unbounded()) return input_->Identities();
    const absl::StatusOr<InputFile> source = FindSource(bus_, spec_);
    if (!source.ok()) return source.status();
    return std::vector<InputFile>{*source};
  }

  // Of a job that runs on the same input, this file becomes the code. Any other is left alone: EnsureJob makes
  // it, or says what differs.
  absl::Status UpdateIfItRuns(const JobRequest& request) {
    const absl::StatusOr<Cluster> cluster = ReadCluster(bus_);
    if (!cluster.ok()) return cluster.status();
    const JobRecord* const job = cluster->FindJob(spec_.name);
    if (job == nullptr || cluster->FindFinal(job->uid) != nullptr) return absl::OkStatus();
    const auto same = [](const InputFile& a, const InputFile& b) {
      return a.bytes == b.bytes && a.digest == b.digest;
    };
    if (!std::equal(job->inputs.begin(), job->inputs.end(), request.inputs.begin(), request.inputs.end(),
                    same)) {
      return absl::OkStatus();
    }
    const absl::StatusOr<UpdateMade> made = UpdateCode(bus_, *job, {&spec_, request.now_ms});
    if (!made.ok()) return made.status();
    if (made->is_new) Say(StrCat("job ", spec_.name, ": version ", made->version, " of its code is made"));
    return absl::OkStatus();
  }

  // Input that is damaged, or of which a later part has another header, does not get better by the same command,
  // and other input would be another job's.
  absl::Status ExplainStop(const absl::Status& status) const {
    if (!absl::IsDataLoss(status) && !absl::IsInvalidArgument(status)) return status;
    return absl::Status(
        status.code(),
        StrCat(ToStd(status.message()), " — what came before was fed, and job ", spec_.name,
               " waits for the rest — `coordinator delete ", spec_.name, "`, then submit a whole input"));
  }

  // What is fed to a job that reads a source, beside it.
  absl::Status AddInput() {
    if (input_ == nullptr) return absl::OkStatus();
    const InputAdded added = {input_->Identities(), absl::ToUnixMillis(clock_.Now())};
    const absl::StatusOr<uint32_t> number = NumberAddedInput(bus_, spec_.name, uid_, added);
    if (!number.ok()) return number.status();
    const std::string writer = AddedWriter(*number);
    const absl::StatusOr<bool> fed = WasFed(writer);
    if (!fed.ok()) return fed.status();
    if (!*fed) return Feed(writer);
    Say(StrCat("job ", spec_.name, ": all ", feed_->records(), " records were added before; nothing to do"));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> WasFed(const std::string& writer) {
    const absl::StatusOr<std::optional<InputFed>> fed = feed_->FindFedBefore(writer);
    if (!fed.ok()) return fed.status();
    if (!fed->has_value()) return false;
    if (writer == kIngestWriter) return true;
    const absl::Status same = CheckFedInput(*input_, **fed, clock_, [this] { return feed_->CheckTime(); });
    if (!same.ok()) return same;
    return true;
  }

  absl::Status Feed(const std::string& writer) {
    return feed_->Feed(writer, *input_, extractor_, {.amount = input_->total_bytes()});
  }

  const SubmitFlags& flags_;
  const JobSpec& spec_;
  InputReader* const input_;
  KeyExtractor& extractor_;
  Bus& bus_;
  Clock& clock_;
  const absl::Duration start_;
  std::string uid_;
  std::optional<JobFeed> feed_;  // once there is the job
};

}  // namespace

int RunSubmit(const Arguments& arguments) {
  SubmitFlags flags;
  CommandLine command(
      "coordinator submit JOB.yaml [--input FILE|-]... [--name NAME] [--set PATH=VALUE]... [--plugins DIR] "
      "[--update] [--wait]",
      "Creates a job and feeds its input. Run again after an interruption, it goes on where it was. A job "
      "that "
      "reads a subject or a stream is given the input beside that.",
      "coordinator submit delays.yaml --input flights.jsonl --wait");
  command.flags().Positional("JOB.yaml", &flags.file);
  command.flags().Add(
      "input", &flags.inputs, "FILE|-",
      "what to read, in this order: files, quoted patterns ('day-*.jsonl'); gzip is recognised; - is stdin");
  command.flags().Add("name", &flags.name, "NAME", "the job's name, instead of the file's");
  command.flags().Add("set", &flags.sets, "PATH=VALUE",
                      "changes the job file: partitions=4, source.format=csv");
  AddPluginsFlag(command.flags(), &flags.plugins);
  command.flags().AddSwitch(
      "update", &flags.update,
      "where a job of that name runs already: make the file its code, as `update` does");
  command.flags().AddSwitch("wait", &flags.wait, "wait until the job has ended");
  command.flags().Add("timeout", &flags.timeout, "give up after this long (exit code 4)");
  command.flags().Add("replicas", &flags.replicas, "N",
                      "copies of each new stream, in a NATS cluster: 1, 3 or 5");
  command.AddOutput({"text", "json"});
  command.AddConnection();
  if (const std::optional<int> code = command.Parse(arguments); code.has_value()) return *code;

  absl::StatusOr<std::vector<std::string>> paths = ExpandInputs(flags.inputs);
  if (!paths.ok()) return Fail(paths.status());
  flags.inputs = *std::move(paths);
  flags.names = !flags.name.empty() ||
                std::any_of(arguments.begin(), arguments.end(),
                            [](const std::string& a) { return a == "--name" || a == "--name="; });
  if (const absl::Status status = CheckReplicas(flags.replicas); !status.ok()) return Fail(status);
  CodeFiles files(flags.plugins);
  const absl::StatusOr<JobSpec> spec = ReadJob(flags, files);
  if (!spec.ok()) return Fail(spec.status());
  const absl::StatusOr<std::unique_ptr<KeyExtractor>> extractor = KeyExtractor::Create(*spec);
  if (!extractor.ok()) return Fail(extractor.status());
  if (!spec->source.unbounded() && flags.inputs.empty()) {
    return Fail(absl::InvalidArgumentError(StrCat(
        "no input — job ", spec->name,
        " is fed from files, and none was given — try --input FILE, or --input - for standard input")));
  }
  InputOptions input_options;
  input_options.max_line_bytes = spec->source.max_record_bytes;
  input_options.has_header = spec->source.format == Format::kCsv;
  const absl::Duration start = SystemClock().Monotonic();
  input_options.keep_waiting = [&] { return CheckPatience(flags, start); };
  std::unique_ptr<InputReader> input;
  if (!flags.inputs.empty()) {
    absl::StatusOr<std::unique_ptr<InputReader>> opened = InputReader::Open(flags.inputs, input_options);
    if (!opened.ok()) return Fail(opened.status());
    input = *std::move(opened);
    if (input_options.has_header) {
      const absl::Status fit = CheckCsvHeaders(flags, input_options, *input, **extractor);
      if (!fit.ok()) return Fail(fit);
    }
  }

  const absl::StatusOr<std::unique_ptr<Bus>> bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  Submission submission(flags, *spec, input.get(), **extractor, **bus, start);
  if (const absl::Status done = submission.Run(); !done.ok()) return Fail(done);
  if (command.json()) {
    if (const absl::Status written = WriteOut(submission.feed().Json()); !written.ok()) return Fail(written);
  }
  return submission.feed().ExitCode();
}

}  // namespace millrace
