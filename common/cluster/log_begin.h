// Where a partition's log begins when what came before was deleted (`retain: results`), and how far every
// writer had come there: what a reader needs that begins in the middle (R3).
//
//   mr-epochs   <uid>.<s>.<p>.begin.<offset>   LogBegin   made once by an owner of the partition, before the log
//                                                         up to there is deleted
//
// The greatest offset counts, whoever made it: how far the writers had come behind a message follows from the
// log alone, so no owner, not even one of the past, can say it wrong.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/frame/writer_cursors.h"
#include "common/ids.h"

namespace millrace {

struct LogBegin {
  Offset offset;              // the cursors are those behind this message
  WriterCursors cursors{""};  // of all writers
};

std::string LogBeginPrefix(std::string_view uid, SegmentId segment, PartitionId partition);
std::string LogBeginKey(std::string_view uid, SegmentId segment, PartitionId partition, Offset offset);

std::string Encode(const LogBegin& begin);
// INVALID_ARGUMENT on anything that is not such a document.
absl::StatusOr<LogBegin> DecodeLogBegin(std::string_view json);

// By partition; nullopt: the log begins with its first message.
using LogBegins = std::vector<std::optional<LogBegin>>;

// Of the bucket mr-epochs; nullopt: the log begins with its first message. DATA_LOSS: the greatest cannot be
// read. Pure.
absl::StatusOr<std::optional<LogBegin>> FindLogBegin(
    const std::map<std::string, KeyValue, std::less<>>& epochs, std::string_view uid, SegmentId segment,
    PartitionId partition);
// Of a segment's partitions, asked of the broker. Uses the bus's Poll. Errors: the broker's; DATA_LOSS.
absl::StatusOr<LogBegins> ReadLogBegins(Bus& bus, std::string_view uid, SegmentId segment,
                                        uint32_t partitions);

}  // namespace millrace
