// The mark at which a partition's log passes to the next version of the job's code: whatever stands behind it
// runs under that version, in every replay.
//
// Its owner appends it. Marks count versions, so under R3 each is taken once and in order, whoever appended it and
// how often; no epoch is raised, since a mark of an owner of the past says nothing else than its heir's.
#pragma once

#include <cstdint>
#include <string>

#include "common/frame/message_header.h"
#include "common/frame/writer_cursors.h"

namespace millrace {

inline constexpr Epoch kCodeEpoch(1);

inline MessageHeader CodeMark(const std::string& uid, uint64_t version) {
  return {FrameKind::kCode, uid, kCodeWriter, kCodeEpoch, Mark{version - 1, 0}, Mark{version, 0}, 0};
}

// The version that is in force where a reader of the log stands.
inline uint64_t CodeVersionOf(const WriterCursors& cursors) { return cursors.Get(kCodeWriter).mark.offset; }

}  // namespace millrace
