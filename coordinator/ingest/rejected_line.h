// A line of the input that is no record, as a dead letter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/frame/frame.h"

namespace millrace {

inline constexpr size_t kMaxRejectedValueBytes = 64 << 10;  // more of a line is cut off

struct RejectedLine {
  std::string_view job;
  std::string_view uid;
  std::string_view writer;  // the ingest: "in", "add-<n>"
  uint64_t position = 0;    // of its first byte in the input
  std::string_view text;
  uint64_t text_bytes = 0;  // of the whole line
  std::string_view error;
  uint64_t number = 0;  // counts the input's rejected lines, from 1
};

// What is shown of a record that came without a text: its value as JSON, or as it is where that is raw.
std::string RejectedText(const RecordView& record);
// The letter's id: `<writer>.<position>`; the same again when the line is read again.
std::string RejectedLineId(std::string_view writer, uint64_t position);
std::string RejectedLineMessageId(std::string_view uid, std::string_view writer, uint64_t position);
// The letter as JSON, in the form of every dead letter (see ARCHITECTURE.md), and with `number`.
std::string EncodeRejectedLine(const RejectedLine& line);

// What an ingest needs to know of a letter of an earlier one; nullopt when it is none of that writer of `uid`.
struct RejectedLineMark {
  uint64_t position = 0;
  uint64_t number = 0;
};
std::optional<RejectedLineMark> DecodeRejectedLine(std::string_view uid, std::string_view writer,
                                                   std::string_view json);

}  // namespace millrace
