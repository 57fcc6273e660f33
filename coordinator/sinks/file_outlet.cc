#include "coordinator/sinks/file_outlet.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/failpoint.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/results/result_line.h"

namespace millrace {
namespace {

constexpr size_t kSinkWriteBytes = 256 << 10;  // lines gathered before a write

absl::Status Stop(const std::string& why) { return absl::FailedPreconditionError(why); }

}  // namespace

std::string SinkPartPath(const std::string& path, uint64_t rotate_bytes, uint32_t part) {
  if (rotate_bytes == 0) return path;
  const std::filesystem::path whole(path);
  const std::string name =
      StrCat(whole.stem().native(), absl::StrFormat("-%06d", part), whole.extension().native());
  return whole.parent_path() / name;
}

std::string SinkNotePath(const std::string& path) { return path + ".millrace"; }

std::string FileOutlet::ToString() const {
  return StrCat("file ", options_.path, " on host ", options_.host);
}

absl::Status FileOutlet::NotHere(const SinkPlace& place) const {
  return Stop(StrCat("they are in ", place.path, " on host ", place.host, ", which ", options_.path,
                     " on host ", options_.host,
                     " is not — let the coordinator there lead, or move the file and its .millrace here"));
}

absl::StatusOr<std::optional<SinkPlace>> FileOutlet::FindPlace() {
  const absl::StatusOr<KeyValue> there = bus_.GetKey(kEpochsBucket, SinkPlaceKey(options_.uid));
  if (absl::IsNotFound(there.status())) return std::optional<SinkPlace>();
  if (!there.ok()) return there.status();
  absl::StatusOr<SinkPlace> place = DecodeSinkPlace(there->value);
  if (!place.ok()) return place.status();
  return std::optional<SinkPlace>(*std::move(place));
}

absl::StatusOr<SinkPosition> FileOutlet::Begin() {
  const absl::StatusOr<std::optional<SinkPlace>> place = FindPlace();
  if (!place.ok()) return place.status();
  absl::StatusOr<LockedFile> note = LockedFile::Open(SinkNotePath(options_.path), !place->has_value());
  if (absl::IsNotFound(note.status()) && place->has_value()) return NotHere(**place);
  if (absl::IsUnavailable(note.status())) {
    return absl::UnavailableError(
        StrCat(ToStd(note.status().message()),
               " — a coordinator that led before, or a job of another name, still writes there — end it"));
  }
  if (absl::IsNotFound(note.status())) {
    return Stop(
        StrCat(ToStd(note.status().message()), " — does its folder exist on host ", options_.host, "?"));
  }
  if (!note.ok()) return note.status();
  const absl::StatusOr<std::string> text = note->Read();
  if (!text.ok()) return text.status();
  note_ = *std::move(note);
  absl::Status begun;
  if (!text->empty()) {
    begun = GoOn(*text, *place);
  } else {
    begun = place->has_value() ? NotHere(**place) : BeginNew();
  }
  if (begun.ok()) begun = ClaimPlace();
  if (begun.ok()) return noted_.position;
  part_ = OwnedFd();
  note_.reset();
  return begun;
}

// The part is made before the note: what is in a file of which a note speaks is ours.
absl::Status FileOutlet::BeginNew() {
  noted_ = SinkFilePosition();
  noted_.uid = options_.uid;
  noted_.id = options_.new_id;
  noted_.job = options_.job;
  absl::StatusOr<OwnedFd> part = OpenRegularFile(PartPath(noted_.part), OpenMode::kNewOrEmpty);
  if (!part.ok()) {
    note_->Remove().IgnoreError();  // it is empty
    if (!absl::IsAlreadyExists(part.status())) return part.status();
    return Stop(StrCat(ToStd(part.status().message()), " — job ", options_.job,
                       " has written nothing yet — move it away"));
  }
  part_ = *std::move(part);
  length_ = 0;
  MILLRACE_FAILPOINT("sink_before_first_note");
  return Note();
}

absl::Status FileOutlet::GoOn(const std::string& text, const std::optional<SinkPlace>& place) {
  const std::string path = SinkNotePath(options_.path);
  absl::StatusOr<SinkFilePosition> noted = DecodeSinkFilePosition(text);
  if (!noted.ok()) return Stop(StrCat(path, ": ", ToStd(noted.status().message())));
  if (noted->uid != options_.uid) {
    return Stop(StrCat(path, " is of job ", noted->job, ", uid ", noted->uid,
                       " — where that job is deleted, move the file and its .millrace away"));
  }
  if (place.has_value() && place->id != noted->id) return NotHere(*place);
  noted_ = *std::move(noted);
  return OpenPart();
}

absl::Status FileOutlet::OpenPart() {
  const std::string path = PartPath(noted_.part);
  absl::StatusOr<OwnedFd> part = OpenRegularFile(path, OpenMode::kExisting);
  if (absl::IsNotFound(part.status())) {
    return Stop(StrCat(path, " is gone, and ", noted_.length, " bytes of results with it — bring it back"));
  }
  if (!part.ok()) return part.status();
  const absl::StatusOr<uint64_t> length = FileLength(*part, path);
  if (!length.ok()) return length.status();
  if (*length < noted_.length) {
    return Stop(StrCat(path, " has ", *length, " bytes where ", noted_.length,
                       " of results were written — somebody else has changed it — bring them back"));
  }
  if (const absl::Status cut = CutTo(*part, path, noted_.length); !cut.ok()) return cut;
  part_ = *std::move(part);
  length_ = noted_.length;
  return absl::OkStatus();
}

absl::Status FileOutlet::ClaimPlace() {
  const SinkPlace here = {noted_.id, options_.host, options_.path};
  MILLRACE_FAILPOINT("sink_before_claim");
  const absl::Status made = bus_.CreateKey(kEpochsBucket, SinkPlaceKey(options_.uid), Encode(here)).status();
  if (made.ok() || !absl::IsAlreadyExists(made)) return made;
  const absl::StatusOr<std::optional<SinkPlace>> place = FindPlace();
  if (!place.ok()) return place.status();
  if (!place->has_value()) return absl::UnavailableError("the sink's place was deleted just now");
  return (*place)->id == noted_.id ? absl::OkStatus() : NotHere(**place);
}

absl::Status FileOutlet::Put(PartitionId partition, const RecordView& record) {
  AppendResultLine(record, partition, &lines_);
  return lines_.size() < kSinkWriteBytes ? absl::OkStatus() : Flush();
}

absl::Status FileOutlet::Flush() {
  const absl::Status written = WriteAt(part_, PartPath(noted_.part), length_, lines_);
  if (!written.ok()) return written;
  length_ += lines_.size();
  lines_.clear();
  return absl::OkStatus();
}

bool FileOutlet::full() const {
  return options_.rotate_bytes > 0 && length_ + lines_.size() >= options_.rotate_bytes;
}

absl::Status FileOutlet::Commit(const SinkPosition& position) {
  if (const absl::Status written = Flush(); !written.ok()) return written;
  MILLRACE_FAILPOINT("sink_after_write");
  const std::string path = PartPath(noted_.part);
  if (const absl::Status synced = SyncFile(part_, path); !synced.ok()) return synced;
  MILLRACE_FAILPOINT("sink_after_sync");
  noted_.position = position;
  if (full()) {
    // Empty, it may be one that was made by whoever died here.
    absl::StatusOr<OwnedFd> next = OpenRegularFile(PartPath(noted_.part + 1), OpenMode::kNewOrEmpty);
    if (absl::IsAlreadyExists(next.status())) {
      return Stop(StrCat(ToStd(next.status().message()), " — it is the next part's name — move it away"));
    }
    if (!next.ok()) return next.status();
    part_ = *std::move(next);
    ++noted_.part;
    length_ = 0;
    MILLRACE_FAILPOINT("sink_between_parts");
  }
  if (const absl::Status noted = Note(); !noted.ok()) return noted;
  MILLRACE_FAILPOINT("sink_after_note");
  return absl::OkStatus();
}

absl::Status FileOutlet::Note() {
  noted_.length = length_;
  return note_->Replace(Encode(noted_));
}

absl::Status FileOutlet::End() {
  if (!note_.has_value()) return absl::OkStatus();
  part_ = OwnedFd();
  const absl::Status removed = note_->Remove();
  note_.reset();
  return removed;
}

}  // namespace millrace
