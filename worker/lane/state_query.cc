#include "worker/lane/state_query.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "common/value/json_text.h"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

Json Row(std::string_view key, std::string_view value_json) {
  Json row;
  PutBytes(row, "key", key);
  row["value"] = Json::parse(value_json, nullptr, /*allow_exceptions=*/false);
  return row;
}

absl::StatusOr<Json> Get(Partition& partition, const Json& request) {
  absl::StatusOr<std::string> value = partition.StateJson(TakeBytes(request, "key").value_or(""));
  if (!value.ok()) return value.status();
  Json answer;
  answer["value"] = Json::parse(*value, nullptr, false);
  return answer;
}

absl::StatusOr<Json> Scan(Partition& partition, const Json& request) {
  const size_t limit = std::clamp<size_t>(request.value("limit", kMaxScanRows), 1, kMaxScanRows);
  const std::string prefix = TakeBytes(request, "prefix").value_or("");
  std::optional<std::string> after;
  if (request.contains("cursor")) {
    after = FromBase64(request["cursor"].get_ref<const std::string&>());
    if (!after.has_value()) return absl::InvalidArgumentError("no cursor of an answer");
  }
  Json rows = Json::array();
  size_t bytes = 0;
  std::string last;
  bool more = false;
  const auto visit = [&](std::string_view key, const std::string& value) {
    bytes += key.size() + value.size();
    // One row is handed out however large it is: without it a scan would not get past it.
    more = rows.size() == limit || (!rows.empty() && bytes > kMaxAnswerBytes);
    if (more) return false;
    rows.push_back(Row(key, value));
    last.assign(key);
    return true;
  };
  // The row behind the page tells that there is more.
  const absl::Status status = partition.ScanStateJson({prefix, after, limit + 1}, visit);
  if (!status.ok()) return status;
  Json answer;
  answer["rows"] = std::move(rows);
  if (more) answer["next"] = Base64(last);
  return answer;
}

absl::StatusOr<Json> TakeDigest(Partition& partition) {
  const absl::StatusOr<StateDigest> digest = partition.Digest();
  if (!digest.ok()) return digest.status();
  Json answer;
  answer["keys"] = digest->keys;
  answer["digest"] = digest->digest;
  return answer;
}

absl::StatusOr<Json> Dispatch(Partition& partition, const Json& request) {
  const std::string verb = request.value("verb", "");
  if (verb == "get") return Get(partition, request);
  if (verb == "scan") return Scan(partition, request);
  if (verb == "digest") return TakeDigest(partition);
  return absl::InvalidArgumentError("no such question: " + verb);
}

}  // namespace

absl::StatusOr<StateQueryTarget> ParseStateQueryTarget(std::string_view request) {
  const Json json = Json::parse(request, nullptr, false);
  const auto is_number = [&json](const char* field) {
    return json.contains(field) && json[field].is_number_unsigned();
  };
  if (!json.is_object() || !json.contains("uid") || !json["uid"].is_string() || !is_number("segment") ||
      !is_number("partition")) {
    return absl::InvalidArgumentError("a question needs uid, segment and partition");
  }
  return StateQueryTarget{json["uid"].get<std::string>(), SegmentId(json["segment"].get<uint32_t>()),
                          PartitionId(json["partition"].get<uint32_t>())};
}

std::string AnswerStateQuery(Partition& partition, std::string_view request) {
  const Json json = Json::parse(request, nullptr, false);
  if (!json.is_object())
    return RefuseStateQuery(absl::InvalidArgumentError("the question is not a JSON object"));
  absl::StatusOr<Json> result = absl::InvalidArgumentError("");
  try {
    result = Dispatch(partition, json);
  } catch (const Json::exception& e) {  // a field of another type than it should be
    return RefuseStateQuery(absl::InvalidArgumentError(e.what()));
  }
  if (!result.ok()) return RefuseStateQuery(result.status());
  Json answer;
  answer["ok"] = true;
  answer["offset"] = partition.offset().value();
  answer.update(*result);
  return JsonText(answer);
}

std::string RefuseStateQuery(const absl::Status& status) {
  Json answer;
  answer["ok"] = false;
  answer["code"] = absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
  answer["error"] = std::string(status.message());
  return JsonText(answer);
}

}  // namespace millrace
