#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"
#include "common/names.h"
#include "common/random_id.h"
#include "common/strings.h"
#include "coordinator/doctor/doctor.h"

namespace millrace {
namespace {

using ApiJson = nlohmann::json;

constexpr absl::Duration kApiDeadline = absl::Seconds(5);

// One question to the JetStream API (https://docs.nats.io/reference/reference-protocols/nats_api_reference);
// null when there is no usable answer.
ApiJson AskApi(Bus& bus, const std::string& subject) {
  const auto reply = bus.Request(subject, "", kApiDeadline);
  if (!reply.ok()) return nullptr;
  ApiJson answer = ApiJson::parse(*reply, nullptr, false);
  if (!answer.is_object() || answer.contains("error")) return nullptr;
  return answer;
}

void ExamineAccount(Bus& bus, DoctorFacts* facts) {
  const ApiJson info = AskApi(bus, "$JS.API.INFO");
  if (!info.is_object() || !info.contains("storage")) return;
  facts->store_used_bytes = info.value("storage", uint64_t{0});
  facts->store_limit_bytes = info.value("limits", ApiJson::object()).value("max_storage", int64_t{-1});
}

// A message of our own tells whether appends work, how fast, and what the broker's clock says.
void ExamineAppend(Bus& bus, Clock& clock, DoctorFacts* facts) {
  const std::string id = RandomId();
  StreamConfig config;
  config.name = StrCat("mr-doctor-", id);
  config.subjects = {StrCat("mr.doctor.", id)};
  config.description = "millrace doctor";
  const auto stream = bus.CreateStream(config);
  if (!stream.ok()) {
    facts->append_error = std::string(ToStd(stream.status().message()));
    return;
  }
  const ApiJson info = AskApi(bus, StrCat("$JS.API.STREAM.INFO.", config.name));
  if (info.is_object()) facts->clustered = info.contains("cluster");
  AppendRequest request;
  request.subject = config.subjects.front();
  request.payload = "doctor";
  const absl::Duration began = clock.Monotonic();
  const absl::Time began_at = clock.Now();
  const auto sequence = bus.AppendAndWait(request);
  facts->append_time = clock.Monotonic() - began;
  if (!sequence.ok()) {
    facts->append_error = std::string(ToStd(sequence.status().message()));
  } else if (const auto message = bus.GetMessage(config.name, *sequence); message.ok()) {
    const absl::Time broker = absl::FromUnixNanos(message->time_ns);
    facts->clock_difference = broker - (began_at + *facts->append_time / 2);
  }
  bus.DeleteStream(config.name).IgnoreError();
}

void ExamineBuckets(Bus& bus, DoctorFacts* facts) {
  for (const char* name : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
    BucketFacts bucket;
    bucket.name = name;
    const ApiJson info = AskApi(bus, StrCat("$JS.API.STREAM.INFO.", BucketStream(name)));
    if (info.is_object() && info.contains("config")) {
      const ApiJson& config = info["config"];
      bucket.exists = true;
      bucket.ages = config.value("max_age", int64_t{0}) > 0;
      bucket.discards_old =
          config.value("discard", "old") == "old" && config.value("max_bytes", int64_t{-1}) > 0;
      bucket.replicas = config.value("num_replicas", int64_t{1});
      bucket.in_memory = config.value("storage", "file") == "memory";
    }
    facts->buckets.push_back(std::move(bucket));
  }
}

}  // namespace

void ExamineBroker(Bus& bus, Clock& clock, DoctorFacts* facts) {
  if (const auto server = bus.Server(); server.ok()) facts->server = *server;
  ExamineAccount(bus, facts);
  ExamineAppend(bus, clock, facts);
  ExamineBuckets(bus, facts);
}

void ExamineMachine(const std::string& data_dir, DoctorFacts* facts) {
  facts->data_dir = data_dir;
  struct statvfs disk = {};
  if (statvfs(data_dir.c_str(), &disk) != 0 || access(data_dir.c_str(), W_OK) != 0) {
    facts->disk_error = std::strerror(errno);
  } else {
    facts->disk_free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  }
  struct rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) facts->open_files_limit = files.rlim_cur;
}

}  // namespace millrace
