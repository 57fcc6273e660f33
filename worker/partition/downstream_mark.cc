#include "worker/partition/downstream_mark.h"

#include <limits>

#include "common/frame/wire.h"

namespace millrace {
namespace {

void AppendMark(std::string* out, const Mark& mark) {
  wire::AppendVarint(out, mark.offset);
  wire::AppendVarint(out, mark.index);
}

}  // namespace

std::string EncodeDownstreamMarks(const DownstreamMarks& marks) {
  std::string out;
  wire::AppendVarint(&out, marks.size());
  for (const DownstreamMark& mark : marks) {
    AppendMark(&out, mark.mark);
    wire::AppendVarint(&out, mark.records);
    wire::AppendVarint(&out, mark.since_sequence);
    AppendMark(&out, mark.since);
    wire::AppendVarint(&out, mark.confirmed_sequence);
    AppendMark(&out, mark.confirmed);
  }
  return out;
}

absl::StatusOr<DownstreamMarks> DecodeDownstreamMarks(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  const auto number = [&](uint64_t* value) { return (at = wire::LoadVarint(at, end, value)) != nullptr; };
  const auto load_mark = [&](Mark* mark) {
    uint64_t index;
    if (!number(&mark->offset) || !number(&index) || index > std::numeric_limits<uint32_t>::max())
      return false;
    mark->index = static_cast<uint32_t>(index);
    return true;
  };
  const absl::Status malformed = absl::DataLossError("the row of downstream marks is malformed");
  uint64_t count;
  if (!number(&count)) return malformed;
  DownstreamMarks marks;
  for (; count > 0; --count) {
    DownstreamMark mark;
    if (!load_mark(&mark.mark) || !number(&mark.records) || !number(&mark.since_sequence) ||
        !load_mark(&mark.since) || !number(&mark.confirmed_sequence) || !load_mark(&mark.confirmed)) {
      return malformed;
    }
    marks.push_back(mark);
  }
  if (at != end) return malformed;
  return marks;
}

}  // namespace millrace
