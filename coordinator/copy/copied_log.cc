#include "coordinator/copy/copied_log.h"

#include <utility>

#include "absl/strings/str_split.h"
#include "common/names.h"
#include "common/parallel.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxLogAskers = 8;  // threads, each asking for one log after the other
constexpr char kWithEnd[] = "end";
constexpr char kCutOff[] = "cut";

// <uid> <created_ns> end|cut
struct LogDigest {
  std::string uid;
  int64_t created_ns = 0;
  bool has_end = false;
};

std::optional<LogDigest> ReadDigest(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ' ');
  LogDigest digest;
  if (parts.size() != 3 || (parts[2] != kWithEnd && parts[2] != kCutOff) ||
      !absl::SimpleAtoi(parts[1], &digest.created_ns)) {
    return std::nullopt;
  }
  digest.uid = parts[0];
  digest.has_end = parts[2] == kWithEnd;
  return digest;
}

absl::StatusOr<StreamInfo> FindLog(Bus& bus, const std::string& stream) {
  absl::StatusOr<StreamInfo> info = bus.GetStream(stream);
  if (absl::IsNotFound(info.status())) return absl::DataLossError(StrCat("the log ", stream, " is gone"));
  return info;
}

absl::StatusOr<CopiedLog> LookAtLog(Bus& bus, const JobRecord& job, uint32_t partition) {
  const std::string stream = InputStream(job.name, kFirstSegment, PartitionId(partition));
  const absl::StatusOr<StreamInfo> info = FindLog(bus, stream);
  if (!info.ok()) return info.status();
  if (info->config.description != StreamDescription(job.uid)) {
    return absl::DataLossError(
        StrCat("the log ", stream, " is not that of this job, but of `", info->config.description, "`"));
  }
  if (info->first_sequence > 1) {
    return absl::FailedPreconditionError(
        StrCat("cannot copy `", job.name, "` — its log ", stream, " begins at ", info->first_sequence,
               ": what came before is deleted (`retain: results`) — submit its file and its whole input with "
               "--name and --set partitions=N"));
  }
  return CopiedLog{stream, info->created_ns, info->last_sequence};
}

}  // namespace

InputFile InputOfCopy(const std::string& uid, const CopiedLog& log) {
  return {log.stream, log.last, StrCat(uid, " ", log.created_ns, " ", log.has_end ? kWithEnd : kCutOff)};
}

std::optional<std::string> CopiedUid(const InputFile& input) {
  const std::optional<LogDigest> digest = ReadDigest(input.digest);
  return digest.has_value() ? std::optional<std::string>(digest->uid) : std::nullopt;
}

std::optional<CopiedLog> CopiedLogOf(const InputFile& input) {
  const std::optional<LogDigest> digest = ReadDigest(input.digest);
  if (!digest.has_value()) return std::nullopt;
  return CopiedLog{input.name, digest->created_ns, input.bytes, digest->has_end};
}

absl::StatusOr<std::vector<CopiedLog>> LookAtLogs(Bus& bus, const JobRecord& job, bool has_end) {
  std::vector<CopiedLog> logs(job.partitions);
  const absl::Status looked = ParallelFor(logs.size(), kMaxLogAskers, [&](size_t p) {
    absl::StatusOr<CopiedLog> log = LookAtLog(bus, job, static_cast<uint32_t>(p));
    if (!log.ok()) return log.status();
    logs[p] = *std::move(log);
    logs[p].has_end = has_end;
    return absl::OkStatus();
  });
  if (!looked.ok()) return looked;
  return logs;
}

absl::Status CheckLogs(Bus& bus, const std::vector<CopiedLog>& logs) {
  return ParallelFor(logs.size(), kMaxLogAskers, [&](size_t i) {
    const CopiedLog& log = logs[i];
    const absl::StatusOr<StreamInfo> info = FindLog(bus, log.stream);
    if (!info.ok()) return info.status();
    if (info->created_ns != log.created_ns) {
      return absl::DataLossError(StrCat("the log ", log.stream, " was deleted and made anew"));
    }
    if (info->last_sequence >= log.last) return absl::OkStatus();
    return absl::DataLossError(StrCat("the log ", log.stream, " ends at ", info->last_sequence,
                                      ", and ended at ", log.last, " before: it was rolled back"));
  });
}

}  // namespace millrace
