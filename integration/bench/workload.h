// The records that the benchmark feeds, made from their number alone, so that whoever checks the results
// needs no list of them.
#pragma once

#include <cstdint>
#include <string>

#include "common/frame/frame.h"
#include "common/ids.h"
#include "common/job/job_spec.h"

namespace millrace::bench {

inline constexpr size_t kKeyBytes = 8;      // "k0001234"
inline constexpr size_t kRecordBytes = 32;  // key and value
inline constexpr uint64_t kMaxKeys = 10'000'000;

// Which key record `number` has: all keys come once before any comes again, in an order that jumps about.
// REQUIRES: 0 < keys <= kMaxKeys.
uint64_t KeyNumber(uint64_t number, uint64_t keys);
std::string KeyText(uint64_t key_number);
// The inverse of KeyText, and of the number alone, which is the key behind `key_by: v`; kMaxKeys for any
// other text.
uint64_t ParseKey(std::string_view key);

// A record's value is a row {v, pad} of kRecordBytes - kKeyBytes bytes; v is the key's number.
extern const FieldNames kRowFields;
void PackRow(uint64_t key_number, std::string* out);
// The same record as a plain NATS client sends it.
std::string JsonLine(uint64_t key_number);

enum class Segments { kOne, kTwo };
// A running count and sum for each key. In two segments: a count for each key, then, by the number in the
// record, the same count and sum.
std::string RunningTotalJob(std::string_view name, uint32_t partitions, Segments segments);

}  // namespace millrace::bench
