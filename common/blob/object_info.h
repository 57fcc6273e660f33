// How a JetStream object store describes an object and names its messages (ADR-20). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/hash/sha256.h"

namespace millrace {

inline constexpr size_t kObjectChunkBytes = 128 << 10;

struct ObjectInfo {
  std::string name;
  std::string bucket;
  std::string nuid;  // of its chunks
  uint64_t size = 0;
  uint64_t chunks = 0;
  std::string digest;  // "SHA-256=" and base64
  bool deleted = false;
  bool operator==(const ObjectInfo&) const = default;
};

std::string EncodeObjectInfo(const ObjectInfo& info);
// DATA_LOSS when it is none.
absl::StatusOr<ObjectInfo> DecodeObjectInfo(std::string_view json);

bool IsObjectBucket(std::string_view name);                                      // letters, digits, _ and -
std::string ObjectStream(std::string_view bucket);                               // OBJ_<bucket>
std::string ObjectChunkSubject(std::string_view bucket, std::string_view nuid);  // $O.<bucket>.C.<nuid>
std::string ObjectMetaSubject(std::string_view bucket, std::string_view name);   // $O.<bucket>.M.<base64>
std::optional<std::string> ObjectNameOf(std::string_view bucket, std::string_view meta_subject);
std::string ObjectDigest(const Sha256Digest& digest);

// Whether a purge of one subject keeps the rest of the stream: nats-server before 2.9.21 can lose other
// messages of a replicated stream when it is restarted afterwards.
bool SubjectPurgeIsSafe(int replicas, std::string_view server_version);

}  // namespace millrace
