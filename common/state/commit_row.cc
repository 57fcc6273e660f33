#include "common/state/commit_row.h"

#include <cstring>

#include "common/fnv.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr uint8_t kVersion = 3;

// The database's own block checksums guard the disk; this one guards our own mistakes.
uint64_t Checksum(std::string_view bytes) { return Fnv1a64(bytes); }

class Writer {
 public:
  void Number(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) out_.push_back(static_cast<char>(value >> shift));
  }
  void Signed(int64_t value) { Number(static_cast<uint64_t>(value)); }
  void Bytes(std::string_view bytes) {
    Number(bytes.size());
    out_.append(bytes);
  }
  std::string& out() { return out_; }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  uint64_t Number() {
    if (bytes_.size() < 8) return Fail();
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value |= uint64_t{static_cast<uint8_t>(bytes_[i])} << (8 * i);
    bytes_.remove_prefix(8);
    return value;
  }
  int64_t Signed() { return static_cast<int64_t>(Number()); }
  std::string Bytes() {
    const uint64_t size = Number();
    if (size > bytes_.size()) Fail();
    if (failed_) return {};
    std::string bytes(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return bytes;
  }
  bool finished() const { return !failed_ && bytes_.empty(); }

 private:
  uint64_t Fail() {
    failed_ = true;
    bytes_ = {};
    return 0;
  }

  std::string_view bytes_;
  bool failed_ = false;
};

void Encode(const Progress& progress, Writer& writer) {
  writer.Signed(progress.log_time_ms);
  writer.Signed(progress.watermark_ms);
  writer.Number(progress.ended ? 1 : 0);
  writer.Number(progress.records_in);
  writer.Number(progress.records_out);
  writer.Number(progress.dead_letters);
  writer.Number(progress.skipped);
  writer.Number(progress.retries);
}

Progress DecodeProgress(Reader& reader) {
  Progress progress;
  progress.log_time_ms = reader.Signed();
  progress.watermark_ms = reader.Signed();
  progress.ended = reader.Number() != 0;
  progress.records_in = reader.Number();
  progress.records_out = reader.Number();
  progress.dead_letters = reader.Number();
  progress.skipped = reader.Number();
  progress.retries = reader.Number();
  return progress;
}

CommitRow DecodeFields(Reader& reader) {
  CommitRow row;
  row.uid = reader.Bytes();
  row.segment = SegmentId(static_cast<uint32_t>(reader.Number()));
  row.partition = PartitionId(static_cast<uint32_t>(reader.Number()));
  row.offset = Offset(reader.Number());
  row.input_created_ns = reader.Signed();
  row.offset_time_ns = reader.Signed();
  row.input_cursors = reader.Bytes();
  row.result_created_ns = reader.Signed();
  row.result_sequence = reader.Number();
  row.result_cursors = reader.Bytes();
  row.epoch = Epoch(reader.Number());
  row.downstream_marks = reader.Bytes();
  row.progress = DecodeProgress(reader);
  row.state_keys = reader.Number();
  row.state_bytes = reader.Number();
  return row;
}

}  // namespace

std::string EncodeCommitRow(const CommitRow& row) {
  Writer writer;
  writer.out().push_back(static_cast<char>(kVersion));
  writer.Bytes(row.uid);
  writer.Number(row.segment.value());
  writer.Number(row.partition.value());
  writer.Number(row.offset.value());
  writer.Signed(row.input_created_ns);
  writer.Signed(row.offset_time_ns);
  writer.Bytes(row.input_cursors);
  writer.Signed(row.result_created_ns);
  writer.Number(row.result_sequence);
  writer.Bytes(row.result_cursors);
  writer.Number(row.epoch.value());
  writer.Bytes(row.downstream_marks);
  Encode(row.progress, writer);
  writer.Number(row.state_keys);
  writer.Number(row.state_bytes);
  writer.Number(Checksum(writer.out()));
  return std::move(writer.out());
}

absl::StatusOr<CommitRow> DecodeCommitRow(std::string_view bytes) {
  constexpr size_t kChecksumBytes = 8;
  if (bytes.size() < 1 + kChecksumBytes) return absl::DataLossError("the commit row is cut off");
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (Reader(bytes.substr(body.size())).Number() != Checksum(body)) {
    return absl::DataLossError("the commit row does not match its checksum");
  }
  if (static_cast<uint8_t>(body[0]) != kVersion) {
    return absl::DataLossError(StrCat("the commit row is of version ", static_cast<uint8_t>(body[0]),
                                      "; this build reads version ", kVersion));
  }
  Reader reader(body.substr(1));
  CommitRow row = DecodeFields(reader);
  if (!reader.finished()) return absl::DataLossError("the commit row has the wrong length");
  return row;
}

absl::Status CheckBelongs(const CommitRow& row, std::string_view uid, SegmentId segment,
                          PartitionId partition) {
  if (row.uid == uid && row.segment == segment && row.partition == partition) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("the state is that of job ", row.uid, ", partition ", row.segment.value(), "-",
             row.partition.value(), ", not of job ", uid, ", partition ", segment.value(), "-",
             partition.value(), "; remove its folder, or give the worker another data folder"));
}

}  // namespace millrace
