#include "coordinator/state/owner_query.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/names.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

std::string TextOf(const Json& answer, const char* field) {
  const auto found = answer.find(field);
  return found != answer.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::Status NotUnderstood() {
  return absl::InternalError("a worker's answer is not understood — is it of another version?");
}

// One row of an answer's `rows`.
absl::StatusOr<OwnerRow> RowOf(const Json& row, uint64_t offset) {
  if (!row.is_object() || !row.contains("value")) return NotUnderstood();
  std::optional<std::string> key = TakeBytes(row, "key");
  if (!key.has_value()) return NotUnderstood();
  return OwnerRow{*std::move(key), row["value"], offset};
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
  const auto reply = bus.Request(WorkerSubject(incarnation), JsonText(question), kOwnerAnswerDeadline);
  if (!reply.ok()) return absl::UnavailableError(reply.status().message());
  Json answer = Json::parse(*reply, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) {
    return NotUnderstood();
  }
  if (answer["ok"].get<bool>()) {
    if (!answer.contains("offset") || !answer["offset"].is_number_unsigned()) return NotUnderstood();
    return answer;
  }
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

absl::StatusOr<OwnerRow> GetFromOwner(Bus& bus, Clock& clock, const JobRecord& job, SegmentId segment,
                                      PartitionId partition, const std::string& key) {
  Json question = {{"verb", "get"}};
  PutBytes(question, "key", key);
  const auto answer = AskOwner(bus, clock, job, segment, partition, question);
  if (!answer.ok()) return answer.status();
  if (!answer->contains("value")) return NotUnderstood();
  return OwnerRow{key, (*answer)["value"], (*answer)["offset"].get<uint64_t>()};
}

absl::StatusOr<std::vector<OwnerRow>> ScanOwner(Bus& bus, Clock& clock, const JobRecord& job,
                                                SegmentId segment, PartitionId partition,
                                                const std::string& prefix, size_t limit) {
  std::vector<OwnerRow> rows;
  std::string cursor;
  while (rows.size() < limit) {
    Json question = {{"verb", "scan"}, {"limit", std::min(limit - rows.size(), kScanPageRows)}};
    PutBytes(question, "prefix", prefix);
    if (!cursor.empty()) question["cursor"] = cursor;
    const auto answer = AskOwner(bus, clock, job, segment, partition, question);
    if (!answer.ok()) return answer.status();
    const auto page = answer->find("rows");
    if (page == answer->end() || !page->is_array()) return NotUnderstood();
    for (const Json& row : *page) {
      auto taken = RowOf(row, (*answer)["offset"].get<uint64_t>());
      if (!taken.ok()) return taken.status();
      rows.push_back(*std::move(taken));
    }
    cursor = TextOf(*answer, "next");
    if (cursor.empty() || page->empty()) break;
  }
  return rows;
}

}  // namespace millrace
