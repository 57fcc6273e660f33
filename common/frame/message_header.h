// The one NATS header that every message on a stream of ours carries: what rule R3 needs, without opening the
// frame.
//
//   Millrace: 1 <kind> <uid> <writer> <epoch> <prev> <upto> <records> [<letter>]
//   Millrace: 1 d 9f86d081884c7d65 in 3 0.0 18734.0 128
//
// kind: d data, r results, e epoch mark, z end mark, t tick, v verdict, c code mark.  prev, upto: marks, as
// offset.index.
// records: how many records this writer has put on this stream in all its epochs, this message's included;
// for lag only. letter: of a dead letter's retry, which one (its id).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/ids.h"

namespace millrace {

inline constexpr char kMessageHeaderName[] = "Millrace";
inline constexpr char kExpectedSequenceHeader[] = "Nats-Expected-Last-Sequence";

// Writers: "in" is the job's ingest, "add-<n>" that of files which are fed beside a source, "tick" the owner's
// ticks, "<segment>.<partition>" the owner of that partition, "retry" whoever brings dead letters back, "code" the
// owner's code marks.
inline constexpr char kIngestWriter[] = "in";
inline constexpr char kTickWriter[] = "tick";
inline constexpr char kRetryWriter[] = "retry";
inline constexpr char kCodeWriter[] = "code";
std::string OwnerWriter(SegmentId segment, PartitionId partition);
std::string AddedWriter(uint32_t number);

struct MessageHeader {
  FrameKind kind = FrameKind::kData;
  std::string uid;  // the job's: 16 hex digits
  std::string writer;
  Epoch epoch;
  Mark prev;  // where this writer's message before this one ended
  Mark upto;  // where this one ends
  uint64_t records = 0;
  std::string letter = {};  // of the writer kRetryWriter only, and never empty there

  bool operator==(const MessageHeader&) const = default;
};

std::string FormatMessageHeader(const MessageHeader& header);
// INVALID_ARGUMENT when malformed. Fields behind the known ones are ignored.
absl::StatusOr<MessageHeader> ParseMessageHeader(std::string_view text);
// What a stream's reader makes of a message: nullopt for a stranger's, which has no such header. One that is
// there and cannot be read was written by a later version, or damaged: DATA_LOSS, since whoever went on would
// take it for something else, or skip it.
absl::StatusOr<std::optional<MessageHeader>> ReadMessageHeader(std::string_view text);

}  // namespace millrace
