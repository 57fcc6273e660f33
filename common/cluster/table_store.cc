#include "common/cluster/table_store.h"

#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/failpoint.h"
#include "common/hash/sha256.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

absl::StatusOr<uint64_t> AppendTo(Bus& bus, const std::string& subject, std::string_view payload) {
  AppendRequest request;
  request.subject = subject;
  request.payload = payload;
  return bus.AppendAndWait(request);
}

absl::Status DamagedTable(const std::string& job, const CodeFile& file, std::string_view why) {
  return absl::DataLossError(
      StrCat("table ", file.name, " in stream ", TableStream(job), " is damaged: ", why));
}

}  // namespace

absl::Status PutTable(Bus& bus, const std::string& job, const CodeFile& file, std::string_view content) {
  const std::string subject = TableSubject(job, file.sha256);
  const absl::Status there = bus.GetLastMessage(TableStream(job), subject).status();
  if (!absl::IsNotFound(there)) return there;
  std::vector<uint64_t> sequences;
  for (size_t at = 0; at < content.size(); at += kTableChunkBytes) {
    const absl::StatusOr<uint64_t> sequence =
        AppendTo(bus, TableDataSubject(job), content.substr(at, kTableChunkBytes));
    if (!sequence.ok()) return sequence.status();
    sequences.push_back(*sequence);
    MILLRACE_FAILPOINT("after_table_chunk");
  }
  return AppendTo(bus, subject, absl::StrJoin(sequences, " ")).status();
}

absl::StatusOr<std::string> GetTable(Bus& bus, const std::string& job, const CodeFile& file) {
  const absl::StatusOr<Message> index = bus.GetLastMessage(TableStream(job), TableSubject(job, file.sha256));
  if (absl::IsNotFound(index.status())) {
    return absl::UnavailableError(
        StrCat("table ", file.name, " is not in stream ", TableStream(job),
               " yet — `coordinator submit` puts it there — run that again if it was "
               "interrupted"));
  }
  if (!index.ok()) return index.status();
  std::string content;
  content.reserve(file.bytes);
  for (const absl::string_view text : absl::StrSplit(ToAbsl(index->payload), ' ', absl::SkipEmpty())) {
    uint64_t sequence = 0;
    if (!absl::SimpleAtoi(text, &sequence)) return DamagedTable(job, file, "its index names no messages");
    const absl::StatusOr<Message> chunk = bus.GetMessage(TableStream(job), sequence);
    if (absl::IsNotFound(chunk.status()))
      return DamagedTable(job, file, StrCat("message ", sequence, " is gone"));
    if (!chunk.ok()) return chunk.status();
    content += chunk->payload;
    if (content.size() > file.bytes) break;
  }
  if (Hex(Sha256Of(content)) == file.sha256) return content;
  return DamagedTable(job, file, "its sha256 is not the one that the job notes");
}

absl::StatusOr<std::string> FetchJobTable(Bus& bus, const std::string& job, const std::string& name,
                                          const CodeFile* known) {
  if (known != nullptr) return GetTable(bus, job, *known);
  return absl::FailedPreconditionError(
      StrCat("table ", name, " is not among those that job ", job, " was submitted with"));
}

}  // namespace millrace
