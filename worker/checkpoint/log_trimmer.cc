#include "worker/checkpoint/log_trimmer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/checkpoint/catalog.h"
#include "common/cluster/key_view.h"
#include "common/cluster/log_begin.h"
#include "common/cluster/numbered_key.h"
#include "common/failpoint.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {

// A later owner may have begun further back than the one before: the newest is not always the furthest.
absl::Status LogTrimmer::Trim(const std::vector<CheckpointId>& kept) {
  if (kept.size() < keep_) return absl::OkStatus();
  const CheckpointId least = *std::min_element(
      kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  if (least.offset <= trimmed_) return absl::OkStatus();
  const CheckpointLayout layout(key_.uid, key_.segment, key_.partition);
  const absl::StatusOr<CheckpointManifest> manifest = ReadManifest(store_, layout, least);
  if (!manifest.ok()) return manifest.status();
  return TrimTo(manifest->commit);
}

absl::Status LogTrimmer::TrimTo(const CommitRow& oldest) {
  if (oldest.offset <= Offset(1)) return absl::OkStatus();
  const absl::StatusOr<StreamInfo> stream = bus_.GetStream(key_.input_stream());
  if (!stream.ok()) return stream.status();
  if (stream->config.description != StreamDescription(key_.uid)) {
    return absl::FailedPreconditionError(StrCat(key_.input_stream(), " is another job's by now"));
  }
  if (absl::Status noted = NoteBegin(oldest); !noted.ok()) return noted;
  MILLRACE_FAILPOINT("before_trim");
  const absl::Status purged = bus_.PurgeStream(key_.input_stream(), oldest.offset.value() - 1);
  if (!purged.ok()) return purged;
  MILLRACE_FAILPOINT("after_trim");
  trimmed_ = oldest.offset;
  return DeleteOlderNotes();
}

absl::Status LogTrimmer::NoteBegin(const CommitRow& oldest) {
  absl::StatusOr<WriterCursors> cursors = WriterCursors::Decode(oldest.input_cursors);
  if (!cursors.ok()) return cursors.status();
  const absl::Status made =
      bus_.CreateKey(kEpochsBucket, LogBeginKey(key_.uid, key_.segment, key_.partition, oldest.offset),
                     Encode(LogBegin{oldest.offset, *std::move(cursors)}))
          .status();
  return absl::IsAlreadyExists(made) ? absl::OkStatus() : made;
}

absl::Status LogTrimmer::DeleteOlderNotes() {
  std::vector<Offset> older;
  if (last_note_.has_value()) {
    older.push_back(*last_note_);
  } else {
    const auto epochs = ReadBucket(bus_, kEpochsBucket);
    if (!epochs.ok()) return epochs.status();
    const std::string prefix = LogBeginPrefix(key_.uid, key_.segment, key_.partition);
    for (auto it = epochs->lower_bound(prefix); it != epochs->end() && it->first.starts_with(prefix); ++it) {
      const std::optional<NumberedKey> key = ParseNumberedKey(it->first, prefix, 1);
      if (!it->second.deleted && key.has_value() && key->first < trimmed_.value())
        older.push_back(Offset(key->first));
    }
  }
  for (const Offset offset : older) {
    const absl::Status deleted =
        bus_.DeleteKey(kEpochsBucket, LogBeginKey(key_.uid, key_.segment, key_.partition, offset));
    if (!deleted.ok()) return deleted;
  }
  last_note_ = trimmed_;
  return absl::OkStatus();
}

}  // namespace millrace
