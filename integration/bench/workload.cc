#include "integration/bench/workload.h"

#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/strings.h"
#include "common/value/msgpack.h"

namespace millrace::bench {
namespace {

constexpr uint64_t kStride = 7'368'787;  // a prime: consecutive records lie far apart
constexpr size_t kStringHeadBytes = 1;   // of a MessagePack string below 32 bytes

}  // namespace

const FieldNames kRowFields = {"v", "pad"};

uint64_t KeyNumber(uint64_t number, uint64_t keys) {
  const uint64_t stride = std::gcd(kStride, keys) == 1 ? kStride : 1;
  return (number % keys) * stride % keys;
}

std::string KeyText(uint64_t key_number) { return absl::StrFormat("k%07d", key_number); }

uint64_t ParseKey(std::string_view key) {
  uint64_t number = kMaxKeys;
  if (key.size() == kKeyBytes && key[0] == 'k') key.remove_prefix(1);
  if (!absl::SimpleAtoi(ToAbsl(key), &number)) return kMaxKeys;
  return number;
}

void PackRow(uint64_t key_number, std::string* out) {
  static constexpr char kPadding[kRecordBytes] = {};
  out->clear();
  PackWriter writer(out);
  writer.Int(static_cast<int64_t>(key_number));
  const size_t room = kRecordBytes - kKeyBytes - out->size() - kStringHeadBytes;
  writer.String(std::string_view(kPadding, room));
}

std::string JsonLine(uint64_t key_number) {
  return absl::StrFormat("{\"k\":\"%s\",\"v\":%d}", KeyText(key_number), key_number);
}

std::string RunningTotalJob(std::string_view name, uint32_t partitions, Segments segments) {
  const std::string_view first =
      segments == Segments::kOne ? "" : "  - aggregate: { n: count(), v: last(v) }\n  - key_by: v\n";
  return StrCat("name: ", name, "\nsource: { format: jsonl }\nkey: k\npartitions: ", partitions,
                "\nstages:\n", first,
                "  - aggregate: { count: count(), sum: sum(v) }\ncommit: { interval: 1s }\n");
}

}  // namespace millrace::bench
