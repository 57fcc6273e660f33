#include "common/blob/blob_store.h"

#include <algorithm>

#include "common/strings.h"

namespace millrace {
namespace {

bool IsBlobNameByte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

bool IsBlobNamePart(std::string_view part) {
  return !part.empty() && part.front() != '.' && std::all_of(part.begin(), part.end(), IsBlobNameByte);
}

}  // namespace

absl::Status CheckBlobName(std::string_view name) {
  bool good = name.size() <= kMaxBlobNameBytes;
  for (std::string_view rest = name; good;) {
    const size_t slash = rest.find('/');
    good = IsBlobNamePart(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat("\"", name.substr(0, kMaxBlobNameBytes), "\" is no name of an object"));
}

absl::StatusOr<std::string> ReadBlob(BlobStore& store, const std::string& name, size_t max_bytes) {
  std::string bytes;
  const absl::Status status = store.Get(name, [&](std::string_view piece) {
    if (bytes.size() + piece.size() > max_bytes) {
      return absl::ResourceExhaustedError(StrCat(name, " has more than ", max_bytes, " bytes"));
    }
    bytes.append(piece);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return bytes;
}

}  // namespace millrace
