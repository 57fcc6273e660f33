#include "coordinator/state/owner_query.h"

#include <utility>

#include "common/names.h"
#include "common/strings.h"
#include "coordinator/cli/context.h"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

std::string TextOf(const Json& answer, const char* field) {
  const auto found = answer.find(field);
  return found != answer.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string OwnerOf(const Cluster& cluster, const JobRecord& job, SegmentId segment, PartitionId partition) {
  std::string incarnation;
  uint64_t newest = 0;
  for (const auto& [name, worker] : cluster.workers) {
    if (cluster.IsLost(worker) || worker.lease.state == "stopped") continue;
    for (const PartitionReport& report : worker.lease.partitions) {
      if (report.uid != job.uid || report.segment != segment.value() ||
          report.partition != partition.value() || report.epoch < newest) {
        continue;
      }
      newest = report.epoch;
      incarnation = worker.lease.incarnation;
    }
  }
  return incarnation;
}

absl::StatusOr<Json> AskOnce(Bus& bus, const std::string& incarnation, const JobRecord& job,
                             SegmentId segment, PartitionId partition, Json question) {
  question["job"] = job.name;
  question["uid"] = job.uid;
  question["segment"] = segment.value();
  question["partition"] = partition.value();
  const auto reply = bus.Request(WorkerSubject(incarnation), question.dump(), kOwnerAnswerDeadline);
  if (!reply.ok()) return absl::UnavailableError(reply.status().message());
  Json answer = Json::parse(*reply, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) {
    return absl::InternalError("a worker's answer is not understood — is it of another version?");
  }
  if (answer["ok"].get<bool>()) return answer;
  const std::string code = TextOf(answer, "code");
  const std::string error = TextOf(answer, "error");
  if (code == "not_found") return absl::NotFoundError(error);
  if (code == "invalid_argument") return absl::InvalidArgumentError(error);
  return absl::UnavailableError(error);
}

absl::StatusOr<Json> AskOwner(Bus& bus, Clock& clock, const JobRecord& job, SegmentId segment,
                              PartitionId partition, const Json& question) {
  std::string why = "no worker owns it";
  for (int i = 0; i < kMaxOwnerTries; ++i) {
    if (i > 0) clock.Sleep(kOwnerRetryInterval);
    if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
    const auto cluster = ReadCluster(bus);
    if (!cluster.ok()) return cluster.status();
    const std::string owner = OwnerOf(*cluster, job, segment, partition);
    if (owner.empty()) continue;
    auto answer = AskOnce(bus, owner, job, segment, partition, question);
    if (answer.ok() || !absl::IsUnavailable(answer.status())) return answer;
    why = std::string(ToStd(answer.status().message()));
  }
  return absl::DeadlineExceededError(StrCat("no answer about partition ", PartitionText(segment, partition),
                                            " of `", job.name, "` — ", why, " — try `coordinator partitions ",
                                            job.name, "`"));
}

}  // namespace millrace
