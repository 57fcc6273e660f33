// Results as lines of a file, each exactly once: what is out is noted beside the file, in PATH.millrace, and what
// lies in the file behind that is cut off before more is written.
//
// The note names a random id, and the key SinkPlaceKey, made once, names the same: a coordinator elsewhere finds
// out that the file is not with it and stops, instead of beginning another. Whoever writes has PATH.millrace
// locked: one that still believes that it leads keeps its successor out, and cannot write after it.
//
// A commit, in this order: the lines are synced; the next part, where one is due, is made; the note is replaced.
// Whatever dies between leaves the note of before, which stands for lines that are there.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/bus/bus.h"
#include "coordinator/sinks/durable_file.h"
#include "coordinator/sinks/outlet.h"

namespace millrace {

struct FileOutletOptions {
  std::string uid;
  std::string job;
  std::string path;           // absolute
  uint64_t rotate_bytes = 0;  // 0: one file
  std::string host;           // this machine's, for messages
  std::string new_id;         // random: of a file that is begun
};

// The part's path: `out.jsonl` is the only one, or its parts are out-000001.jsonl, out-000002.jsonl, …
std::string SinkPartPath(const std::string& path, uint64_t rotate_bytes, uint32_t part);
std::string SinkNotePath(const std::string& path);  // PATH.millrace

class FileOutlet final : public Outlet {
 public:
  // The bus outlives it.
  FileOutlet(FileOutletOptions options, Bus& bus) : options_(std::move(options)), bus_(bus) {}

  // FAILED_PRECONDITION: the file is elsewhere, or somebody else's, or not as it was left.
  absl::StatusOr<SinkPosition> Begin() override;
  absl::Status Put(PartitionId partition, const RecordView& record) override;
  absl::Status Flush() override;
  bool full() const override;
  absl::Status Commit(const SinkPosition& position) override;
  absl::Status End() override;
  std::string ToString() const override;

 private:
  absl::StatusOr<std::optional<SinkPlace>> FindPlace();
  absl::Status BeginNew();
  absl::Status GoOn(const std::string& text, const std::optional<SinkPlace>& place);
  absl::Status ClaimPlace();
  absl::Status OpenPart();
  absl::Status Note();
  absl::Status NotHere(const SinkPlace& place) const;
  std::string PartPath(uint32_t part) const {
    return SinkPartPath(options_.path, options_.rotate_bytes, part);
  }

  const FileOutletOptions options_;
  Bus& bus_;
  std::optional<LockedFile> note_;
  SinkFilePosition noted_;
  OwnedFd part_;
  uint64_t length_ = 0;  // of what was written to the part
  std::string lines_;    // not written yet
};

}  // namespace millrace
