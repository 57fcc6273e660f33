// The lines of a job's input: files one after the other, in bounded memory, each with its place.
//
// A position is a byte offset in the inputs as they were decompressed and laid end to end; a newline that a
// file's last line lacks is not counted. The position behind a line is therefore where the next one starts,
// and what an ingest resumes from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/cluster/documents.h"
#include "coordinator/ingest/byte_source.h"
#include "coordinator/ingest/record_input.h"

namespace millrace {

struct InputOptions {
  uint64_t max_line_bytes = 1 << 20;  // without its end; a longer line comes as Event::kTooLong
  bool has_header = false;            // csv: the first line of each file comes as Event::kHeader
  uint64_t start = 0;  // lines that begin before it are passed over; a position that Next has told
  std::function<absl::Status()> keep_waiting;  // see SourceOptions
};

// Not thread-safe. Memory: max_line_bytes and a read buffer.
class InputReader final : public RecordInput {
 public:
  // Opens every input, so that what cannot be read is known before anything is sent.
  static absl::StatusOr<std::unique_ptr<InputReader>> Open(const std::vector<std::string>& names,
                                                           const InputOptions& options);

  // What the inputs are, for the job's record.
  std::vector<InputFile> Identities() const;
  void StartAt(uint64_t position) override { options_.start = position; }
  void Expect(std::vector<InputPoint> points) override { expected_ = std::move(points); }
  // The first input's first line that is not empty, which stays to be read; nullopt: there is none, or it has
  // not come yet, or is too long. Errors are those of ByteSource::Read. REQUIRES: Next was not called yet.
  absl::StatusOr<std::optional<std::string>> PeekFirstLine();
  // The next line that is not empty. Errors are those of ByteSource::Read, and FAILED_PRECONDITION: the input
  // is not what was expected, or ends before the start.
  absl::StatusOr<Event> Next(InputLine* line) override;
  uint64_t position() const override { return position_; }
  // nullopt in a plain file, which Identities() tells from another, and within a line. Behind the end: of all
  // that was read.
  std::optional<InputPoint> point() const override;
  // The sum of the inputs' sizes on the disk, for a progress bar; 0 when one is a pipe or compressed.
  uint64_t total_bytes() const;

 private:
  InputReader(std::vector<std::unique_ptr<ByteSource>> sources, const InputOptions& options);

  enum class Filled { kBytes, kNotReady, kEnd };
  absl::StatusOr<Filled> Fill();
  // Passes over what lies before options_.start. kBytes: done.
  absl::StatusOr<Filled> SkipToStart();
  // The current source's next line, also an empty one; kEnd: the source has no more.
  absl::StatusOr<Event> NextOfSource(InputLine* line);
  Event TakeLine(size_t length, size_t line_end_bytes, InputLine* line);
  void DropPartOfLongLine();
  void Consume(size_t bytes);
  void NextSource();
  absl::Status CheckExpectations() const;

  std::vector<std::unique_ptr<ByteSource>> sources_;
  InputOptions options_;
  size_t current_ = 0;         // source
  bool header_due_ = false;    // of the current source
  uint64_t source_start_ = 0;  // position of the current source's first byte
  uint64_t position_ = 0;      // of buffer_[begin_]
  uint32_t digest_ = 0;        // CRC-32 (RFC 1952) of what was consumed of pipes and of compressed files
  std::vector<InputPoint> expected_;
  size_t next_expected_ = 0;
  bool differs_ = false;  // from what was expected
  std::vector<char> buffer_;
  size_t begin_ = 0, scanned_ = 0, end_ = 0;  // begin_ <= scanned_ <= end_: no newline before scanned_

  // A line that is too long, as far as it was dropped.
  struct LongLine {
    uint64_t begin = 0;
    uint64_t bytes = 0;  // 0: there is none
    bool ends_with_cr = false;
    std::string head;
  };
  LongLine long_line_;
};

}  // namespace millrace
