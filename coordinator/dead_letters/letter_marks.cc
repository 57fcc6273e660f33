#include "coordinator/dead_letters/letter_marks.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"

namespace millrace {

std::optional<LetterPlace> ParseLetterId(std::string_view id) {
  const std::vector<std::string> parts = absl::StrSplit(ToAbsl(id), '.');
  uint32_t segment, partition, record;
  uint64_t offset;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[0], &segment) || !absl::SimpleAtoi(parts[1], &partition) ||
      !absl::SimpleAtoi(parts[2], &offset) || !absl::SimpleAtoi(parts[3], &record)) {
    return std::nullopt;
  }
  return LetterPlace{SegmentId(segment), PartitionId(partition), Offset(offset), record};
}

std::string EncodeRetriedMark(const std::string& uid, const std::string& id, Offset offset) {
  return LetterJson{{"uid", uid}, {"retried", id}, {"offset", offset.value()}}.dump();
}

std::string EncodePurgedMark(const std::string& uid, absl::Span<const std::string> ids) {
  LetterJson mark = {{"uid", uid}, {"purged", LetterJson::array()}};
  for (const std::string& id : ids) mark["purged"].push_back(id);
  return mark.dump();
}

bool TakeLetterMark(const LetterJson& message, LetterMarks* marks) {
  const auto retried = message.find("retried");
  const auto offset = message.find("offset");
  if (retried != message.end() && retried->is_string()) {
    if (offset == message.end() || !offset->is_number_unsigned()) return false;
    marks->retried.try_emplace(retried->get<std::string>(), offset->get<uint64_t>());
    return true;
  }
  const auto purged = message.find("purged");
  if (purged == message.end() || !purged->is_array()) return false;
  for (const auto& id : *purged) {
    if (id.is_string()) marks->purged.insert(id.get<std::string>());
  }
  return true;
}

}  // namespace millrace
