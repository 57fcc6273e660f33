// Named objects in a place that outlives a worker: a directory, an S3 bucket, a JetStream object store.
//
// What every adapter promises, and tests/common/blob/blob_store_test.cc asks of each:
//
//   - Put is whole or nothing: a reader, and a list, see the object as it was before or as it is after,
//     never a part of it, whoever dies on the way. Put on a name that is there replaces it.
//   - What a Put has answered OK for is durable as far as the place is, and is seen by every Get, Head and
//     List that begins afterwards, in any process.
//   - Delete of what is not there is OK; after it, Get and Head answer NOT_FOUND.
//   - A Get that ends OK has handed over all bytes of one Put. It can fail after some pieces.
//
// Nothing is promised about two Puts of one name at the same time, but that one of them wins whole.
//
// Errors, by what the caller can do: NOT_FOUND; UNAVAILABLE or DEADLINE_EXCEEDED, try again later (the
// adapter has tried several times); PERMISSION_DENIED and FAILED_PRECONDITION, the operator must act;
// RESOURCE_EXHAUSTED, the place is full; DATA_LOSS, what is there is damaged; INVALID_ARGUMENT, the name or
// the size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace millrace {

// One request carries an object, in every adapter. S3 takes 5 GiB in one; a larger object would need its
// multipart protocol. The files of a partition's database are a few MiB, a commit's at most the memory that
// state may take.
inline constexpr uint64_t kMaxBlobBytes = uint64_t{4} << 30;
inline constexpr size_t kMaxBlobNameBytes = 512;

struct BlobInfo {
  std::string name;
  uint64_t bytes = 0;
  bool operator==(const BlobInfo&) const = default;
};

// Thread-safe. Every call blocks, for a time that the adapter bounds.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  virtual absl::Status Put(const std::string& name, std::string_view bytes) = 0;
  // Hands the bytes over in pieces, in order. An error of `sink` ends the call and is its answer.
  using Sink = std::function<absl::Status(std::string_view piece)>;
  virtual absl::Status Get(const std::string& name, const Sink& sink) = 0;
  virtual absl::StatusOr<BlobInfo> Head(const std::string& name) = 0;
  // Every object whose name begins with `prefix`, which is empty or ends with '/'; sorted by name.
  virtual absl::StatusOr<std::vector<BlobInfo>> List(const std::string& prefix) = 0;
  virtual absl::Status Delete(const std::string& name) = 0;
  // Removes what Puts and Deletes that were cut off left behind, where the place cannot do so itself: only
  // what is older than `age`, which must be longer than any Put takes.
  virtual absl::Status Tidy(absl::Duration age) = 0;

  // The place, for people; without secrets.
  virtual std::string ToString() const = 0;
};

// A name is parts of A-Z a-z 0-9 . _ -, with one '/' between two; no part is "." or ".." or begins with a
// dot. INVALID_ARGUMENT otherwise.
absl::Status CheckBlobName(std::string_view name);

// The whole object. RESOURCE_EXHAUSTED when it has more than `max_bytes`.
absl::StatusOr<std::string> ReadBlob(BlobStore& store, const std::string& name, size_t max_bytes);

}  // namespace millrace
