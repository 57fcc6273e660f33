// What a checkpoint is: the manifest names its files and the commit that they hold. It is put last, so that a
// checkpoint is there whole or not at all.
//
// Two lines of text: a JSON document, and the SHA-256 of that line:
//
//     {"millrace_checkpoint":1,"engine":"0.1.0","job":"delays","uid":"9f86d081884c7d65","segment":0,
//      "partition":3,"epoch":2,"offset":1745,"created_ms":1700000000000,"state_keys":40,"state_bytes":2210,
//      "input_created_ns":…,"result_created_ns":…,"result_sequence":981,"commit_row":"<base64>",
//      "files":[{"name":"000012.sst","object":"0…2-000012.sst","bytes":4096,"sha256":"<hex>"},…]}
//     sha256 <hex>
//
// `commit_row` is the database's own commit row (common/state/commit_row.h): the streams' identities, the
// cursors of input and results. What stands beside it is for people. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/layout.h"
#include "common/ids.h"
#include "common/state/commit_row.h"

namespace millrace {

inline constexpr size_t kMaxManifestBytes = 16 << 20;
inline constexpr size_t kMaxCheckpointFiles = 65'536;

struct CheckpointFile {
  std::string name;    // in the database's folder
  std::string object;  // in the store, below files/
  uint64_t bytes = 0;
  std::string sha256;  // 64 hexadecimal digits
  bool operator==(const CheckpointFile&) const = default;
};

struct CheckpointManifest {
  std::string engine;  // the version that wrote it
  std::string job;
  CheckpointId id;
  int64_t created_ms = 0;
  CommitRow commit;
  std::vector<CheckpointFile> files;
  bool operator==(const CheckpointManifest&) const = default;

  uint64_t bytes() const;
};

std::string EncodeManifest(const CheckpointManifest& manifest);
// DATA_LOSS when it is cut, altered, of another version, or says two things at once.
absl::StatusOr<CheckpointManifest> DecodeManifest(std::string_view text);

}  // namespace millrace
