// The bytes of one input: a file, a pipe, or either of them compressed with gzip, recognised by its magic.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/cluster/documents.h"

namespace millrace {

inline constexpr char kStandardInput[] = "-";
inline constexpr size_t kDigestBytes = 1 << 20;  // of each end of a file

// Not thread-safe.
class ByteSource {
 public:
  // `name` is a path or "-". INVALID_ARGUMENT when it cannot be read, with why. Of a pipe the first line
  // is read here, so that Identity can tell one stream from another.
  static absl::StatusOr<std::unique_ptr<ByteSource>> Open(const std::string& name);
  virtual ~ByteSource() = default;

  // The input's name, size and digest, of the bytes as they lie on the disk; "-" has size 0 and the digest of
  // its first line.
  virtual const InputFile& Identity() const = 0;
  // Whether Read would answer at once. A file always does; a pipe only when something is in it.
  virtual bool Ready() const = 0;
  // Up to `size` decompressed bytes; 0 at the end. DATA_LOSS when the compression is broken or cut off,
  // INVALID_ARGUMENT when the disk refuses.
  virtual absl::StatusOr<size_t> Read(char* to, size_t size) = 0;
  // The decompressed size, where it is known without reading: of plain files.
  virtual bool SizeIsKnown() const = 0;
  // Goes on reading at `position`. REQUIRES: SizeIsKnown(), position <= Identity().bytes.
  virtual absl::Status Seek(uint64_t position) = 0;
};

}  // namespace millrace
