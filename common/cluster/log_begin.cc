#include "common/cluster/log_begin.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/cluster/key_view.h"
#include "common/cluster/numbered_key.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "nlohmann/json.hpp"

namespace millrace {

std::string LogBeginPrefix(std::string_view uid, SegmentId segment, PartitionId partition) {
  return StrCat(uid, ".", OwnerWriter(segment, partition), ".begin.");
}

std::string LogBeginKey(std::string_view uid, SegmentId segment, PartitionId partition, Offset offset) {
  return StrCat(LogBeginPrefix(uid, segment, partition), offset.value());
}

std::string Encode(const LogBegin& begin) {
  nlohmann::ordered_json json;
  json["offset"] = begin.offset.value();
  json["uid"] = begin.cursors.uid();
  json["cursors"] = Base64(begin.cursors.Encode());
  return JsonText(json);
}

absl::StatusOr<LogBegin> DecodeLogBegin(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto invalid = [] { return absl::InvalidArgumentError("not the begin of a log"); };
  if (!json.is_object()) return invalid();
  const auto offset = json.find("offset"), cursors = json.find("cursors");
  if (offset == json.end() || !offset->is_number_unsigned()) return invalid();
  if (cursors == json.end() || !cursors->is_string()) return invalid();
  const std::optional<std::string> bytes = FromBase64(cursors->get_ref<const std::string&>());
  if (!bytes.has_value()) return invalid();
  absl::StatusOr<WriterCursors> decoded = WriterCursors::Decode(*bytes);
  if (!decoded.ok()) return invalid();
  return LogBegin{Offset(offset->get<uint64_t>()), *std::move(decoded)};
}

absl::StatusOr<std::optional<LogBegin>> FindLogBegin(
    const std::map<std::string, KeyValue, std::less<>>& epochs, std::string_view uid, SegmentId segment,
    PartitionId partition) {
  const std::string prefix = LogBeginPrefix(uid, segment, partition);
  const KeyValue* newest = nullptr;
  uint64_t greatest = 0;
  for (auto it = epochs.lower_bound(prefix); it != epochs.end() && absl::StartsWith(it->first, prefix);
       ++it) {
    const std::optional<NumberedKey> key = ParseNumberedKey(it->first, prefix, 1);
    if (it->second.deleted || !key.has_value() || (newest != nullptr && key->first < greatest)) continue;
    newest = &it->second;
    greatest = key->first;
  }
  if (newest == nullptr) return std::optional<LogBegin>();
  absl::StatusOr<LogBegin> begin = DecodeLogBegin(newest->value);
  if (begin.ok() && begin->offset.value() == greatest && begin->cursors.uid() == uid)
    return *std::move(begin);
  return absl::DataLossError(
      StrCat(newest->key, " cannot be read: how far the log's writers had come is not known"));
}

absl::StatusOr<LogBegins> ReadLogBegins(Bus& bus, std::string_view uid, SegmentId segment,
                                        uint32_t partitions) {
  const auto epochs = ReadBucket(bus, kEpochsBucket);
  if (!epochs.ok()) return epochs.status();
  LogBegins begins;
  for (uint32_t p = 0; p < partitions; ++p) {
    absl::StatusOr<std::optional<LogBegin>> begin = FindLogBegin(*epochs, uid, segment, PartitionId(p));
    if (!begin.ok()) return begin.status();
    begins.push_back(*std::move(begin));
  }
  return begins;
}

}  // namespace millrace
