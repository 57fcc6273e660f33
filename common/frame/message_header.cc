#include "common/frame/message_header.h"

#include <charconv>
#include <concepts>

#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kKindLetters = "dreztvc";  // at the FrameKind's number
constexpr size_t kMaxFieldBytes = 64;

std::string_view TakeWord(std::string_view* text) {
  const size_t space = text->find(' ');
  const std::string_view word = text->substr(0, space);
  text->remove_prefix(space == std::string_view::npos ? text->size() : space + 1);
  return word;
}

template <std::unsigned_integral T>
bool ReadNumber(std::string_view text, T* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

bool ReadMark(std::string_view text, Mark* mark) {
  const size_t dot = text.find('.');
  return dot != std::string_view::npos && ReadNumber(text.substr(0, dot), &mark->offset) &&
         ReadNumber(text.substr(dot + 1), &mark->index);
}

bool ReadName(std::string_view text, std::string* name) {
  name->assign(text);
  return !text.empty() && text.size() <= kMaxFieldBytes;
}

}  // namespace

std::string AddedWriter(uint32_t number) { return StrCat("add-", number); }

std::string OwnerWriter(SegmentId segment, PartitionId partition) {
  return StrCat(segment.value(), ".", partition.value());
}

std::string FormatMessageHeader(const MessageHeader& header) {
  const std::string_view kind = kKindLetters.substr(static_cast<size_t>(header.kind), 1);
  return StrCat("1 ", kind, " ", header.uid, " ", header.writer, " ", header.epoch.value(), " ",
                header.prev.offset, ".", header.prev.index, " ", header.upto.offset, ".", header.upto.index,
                " ", header.records, header.letter.empty() ? "" : " ", header.letter);
}

absl::StatusOr<MessageHeader> ParseMessageHeader(std::string_view text) {
  std::string_view rest = text;
  const auto malformed = [&](std::string_view what) {
    return absl::InvalidArgumentError(StrCat("malformed ", kMessageHeaderName, " header (", what,
                                             "): ", Shorten(text, 2 * kMaxFieldBytes)));
  };
  if (TakeWord(&rest) != "1") return malformed("version is not 1");
  MessageHeader header;
  const std::string_view letter = TakeWord(&rest);
  const size_t kind = letter.size() == 1 ? kKindLetters.find(letter) : std::string_view::npos;
  if (kind == std::string_view::npos) return malformed("kind");
  header.kind = static_cast<FrameKind>(kind);
  if (!ReadName(TakeWord(&rest), &header.uid)) return malformed("uid");
  if (!ReadName(TakeWord(&rest), &header.writer)) return malformed("writer");
  uint64_t epoch;
  if (!ReadNumber(TakeWord(&rest), &epoch)) return malformed("epoch");
  header.epoch = Epoch(epoch);
  if (!ReadMark(TakeWord(&rest), &header.prev)) return malformed("prev");
  if (!ReadMark(TakeWord(&rest), &header.upto)) return malformed("upto");
  if (header.upto < header.prev) return malformed("upto before prev");
  if (!ReadNumber(TakeWord(&rest), &header.records)) return malformed("records");
  if (header.writer == kRetryWriter && !ReadName(TakeWord(&rest), &header.letter)) return malformed("letter");
  return header;
}

absl::StatusOr<std::optional<MessageHeader>> ReadMessageHeader(std::string_view text) {
  if (text.empty()) return std::optional<MessageHeader>();
  absl::StatusOr<MessageHeader> header = ParseMessageHeader(text);
  if (!header.ok()) {
    return absl::DataLossError(StrCat(ToStd(header.status().message()),
                                      " — it was written by a later version, or not by millrace — "
                                      "try a worker and a coordinator of that version"));
  }
  return std::optional<MessageHeader>(*std::move(header));
}

}  // namespace millrace
