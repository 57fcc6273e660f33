#include "common/blob/object_info.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "absl/strings/escaping.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

// The URL-safe alphabet with padding, as the NATS clients write it.
std::string UrlBase64(std::string_view bytes) {
  std::string text = absl::Base64Escape(ToAbsl(bytes));
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

std::string MetaPrefix(std::string_view bucket) { return StrCat("$O.", bucket, ".M."); }

// "2.10.4-rc.1" -> {2, 10, 4}; what cannot be read counts as 0.
std::array<int, 3> VersionNumbers(std::string_view text) {
  std::array<int, 3> numbers{};
  for (int& number : numbers) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) break;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (!text.starts_with('.')) break;
    text.remove_prefix(1);
  }
  return numbers;
}

}  // namespace

std::string EncodeObjectInfo(const ObjectInfo& info) {
  nlohmann::ordered_json json;
  json["name"] = info.name;
  json["options"] = {{"max_chunk_size", kObjectChunkBytes}};
  json["bucket"] = info.bucket;
  json["nuid"] = info.nuid;
  json["size"] = info.size;
  json["chunks"] = info.chunks;
  json["digest"] = info.digest;
  if (info.deleted) json["deleted"] = true;
  return json.dump();
}

absl::StatusOr<ObjectInfo> DecodeObjectInfo(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto malformed = [] { return absl::DataLossError("the object's description cannot be read"); };
  if (!json.is_object()) return malformed();
  ObjectInfo info;
  bool good = true;
  const auto read_text = [&](const char* field, std::string* value) {
    const auto at = json.find(field);
    if (at == json.end()) return;
    good = good && at->is_string();
    if (good) *value = at->get<std::string>();
  };
  const auto read_number = [&](const char* field, uint64_t* value) {
    const auto at = json.find(field);
    if (at == json.end()) return;
    good = good && at->is_number_unsigned();
    if (good) *value = at->get<uint64_t>();
  };
  read_text("name", &info.name);
  read_text("bucket", &info.bucket);
  read_text("nuid", &info.nuid);
  read_text("digest", &info.digest);
  read_number("size", &info.size);
  read_number("chunks", &info.chunks);
  const auto deleted = json.find("deleted");
  info.deleted = deleted != json.end() && *deleted == true;
  if (!good || info.name.empty() || info.nuid.find_first_of(".*> ") != std::string::npos) return malformed();
  return info;
}

bool IsObjectBucket(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

std::string ObjectStream(std::string_view bucket) { return StrCat("OBJ_", bucket); }

std::string ObjectChunkSubject(std::string_view bucket, std::string_view nuid) {
  return StrCat("$O.", bucket, ".C.", nuid);
}

std::string ObjectMetaSubject(std::string_view bucket, std::string_view name) {
  return StrCat(MetaPrefix(bucket), UrlBase64(name));
}

std::optional<std::string> ObjectNameOf(std::string_view bucket, std::string_view meta_subject) {
  const std::string prefix = MetaPrefix(bucket);
  if (!meta_subject.starts_with(prefix)) return std::nullopt;
  std::string name;
  if (!absl::WebSafeBase64Unescape(ToAbsl(meta_subject.substr(prefix.size())), &name)) return std::nullopt;
  return name;
}

std::string ObjectDigest(const Sha256Digest& digest) { return StrCat("SHA-256=", UrlBase64(Bytes(digest))); }

bool SubjectPurgeIsSafe(int replicas, std::string_view server_version) {
  return replicas <= 1 || VersionNumbers(server_version) >= std::array<int, 3>{2, 9, 21};
}

}  // namespace millrace
