// The bytes of one input: a file, a pipe, or either of them compressed with gzip, recognised by its magic.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/cluster/documents.h"

namespace millrace {

inline constexpr char kStandardInput[] = "-";
inline constexpr size_t kDigestBytes = 1 << 20;                      // of each end of a file
inline constexpr size_t kGzipPipeDigestBytes = 4 << 10;              // of a compressed pipe's beginning
inline constexpr absl::Duration kPipeWait = absl::Milliseconds(50);  // between two looks at an empty pipe

struct SourceOptions {
  // How many lines at its beginning tell one pipe from another: a header says nothing of what follows it.
  int identifying_lines = 1;
  // Asked while a pipe has nothing: an error ends the wait, and is what Open or Read answers. Without it a
  // stop signal ends it (CANCELLED).
  std::function<absl::Status()> keep_waiting;
};

// Not thread-safe.
class ByteSource {
 public:
  // `name` is a path or "-". INVALID_ARGUMENT when it cannot be read, with why. Of a pipe the first lines
  // are read here, so that Identity can tell one stream from another.
  static absl::StatusOr<std::unique_ptr<ByteSource>> Open(const std::string& name,
                                                          const SourceOptions& options = {});
  virtual ~ByteSource() = default;

  // The input's name, size and digest, of the bytes as they lie on the disk; a pipe has size 0 and the digest
  // of its first lines.
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
