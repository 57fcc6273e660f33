// What became of dead letters. It is kept beside them in their stream, as messages that are no letters:
//
//   {"uid":…,"retried":"0.3.17.2","offset":4711}     the record is in its partition's log again, at 4711
//   {"uid":…,"purged":["0.3.17.2","in.512",…]}       not to be listed any more, should an owner send it again
//
// A retry happened when the log says so (retry_log.h); its mark here only saves a reader the look into every
// log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/types/span.h"
#include "common/ids.h"
#include "nlohmann/json.hpp"

namespace millrace {

using LetterJson = nlohmann::ordered_json;

// Where a letter's record stands: "0.3.17.2" is segment 0, partition 3, offset 17, record 2 of the frame.
struct LetterPlace {
  SegmentId segment;
  PartitionId partition;
  Offset offset;
  uint32_t record = 0;
};
// nullopt for a line of the input that never became a record ("in.<position>").
std::optional<LetterPlace> ParseLetterId(std::string_view id);

struct LetterMarks {
  absl::flat_hash_map<std::string, uint64_t> retried;  // offsets by id
  absl::flat_hash_set<std::string> purged;
  uint64_t as_of = 0;  // the stream was read up to this sequence
};

std::string EncodeRetriedMark(const std::string& uid, const std::string& id, Offset offset);
std::string EncodePurgedMark(const std::string& uid, absl::Span<const std::string> ids);
// Adds what the message says; false when it is no mark.
bool TakeLetterMark(const LetterJson& message, LetterMarks* marks);

}  // namespace millrace
