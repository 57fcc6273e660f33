#include "coordinator/ingest/byte_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/fnv.h"
#include "common/signals.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kCompressedChunkBytes = 256 << 10;
constexpr std::string_view kGzipMagic = "\x1f\x8b";

absl::Status ReadError(const std::string& name, int error) {
  return absl::InvalidArgumentError(
      StrCat("cannot read input ", name, " — ", std::strerror(error), " — check the path given to --input"));
}

std::string Hex(uint64_t hash) { return absl::StrFormat("%016x", hash); }

// A descriptor whose first bytes may have been read ahead.
class Descriptor final : public ByteSource {
 public:
  Descriptor(std::string name, int fd, bool regular, const SourceOptions& options)
      : fd_(fd), regular_(regular), options_(options) {
    identity_.name = std::move(name);
  }
  ~Descriptor() override {
    if (fd_ > STDERR_FILENO) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  const InputFile& Identity() const override { return identity_; }
  bool SizeIsKnown() const override { return regular_; }

  bool Ready() const override {
    if (regular_ || at_ < ahead_.size()) return true;
    pollfd waiting{fd_, POLLIN, 0};
    return poll(&waiting, 1, 0) != 0;
  }

  absl::StatusOr<size_t> Read(char* to, size_t size) override {
    if (at_ < ahead_.size()) {
      const size_t n = std::min(size, ahead_.size() - at_);
      std::memcpy(to, ahead_.data() + at_, n);
      at_ += n;
      if (at_ == ahead_.size()) ahead_ = {}, at_ = 0;
      return n;
    }
    return ReadDescriptor(to, size);
  }

  absl::Status Seek(uint64_t position) override {
    if (lseek(fd_, static_cast<off_t>(position), SEEK_SET) < 0) return ReadError(identity_.name, errno);
    return absl::OkStatus();
  }

  // Takes the digest. A regular file is read at both ends and rewound, a pipe is read ahead.
  absl::Status Identify(uint64_t bytes) {
    if (regular_) {
      identity_.bytes = bytes;
      uint64_t hash = Fnv1a64(StrCat(bytes, ":"));
      const uint64_t tail =
          bytes > kDigestBytes ? std::max<uint64_t>(kDigestBytes, bytes - kDigestBytes) : bytes;
      for (const uint64_t start : {uint64_t{0}, tail}) {
        if (absl::Status sought = Seek(start); !sought.ok()) return sought;
        const absl::StatusOr<std::string> end = ReadUpTo(kDigestBytes);
        if (!end.ok()) return end.status();
        hash = Fnv1a64(*end, hash);
      }
      identity_.digest = Hex(hash);
      return Seek(0);
    }
    if (absl::Status read = ReadAhead(); !read.ok()) return read;
    identity_.digest = Hex(Fnv1a64(std::string_view(ahead_).substr(0, IdentifyingBytes())));
    return absl::OkStatus();
  }

  // The first two bytes, which stay to be read. A pipe has them read ahead already.
  absl::StatusOr<bool> IsGzip() {
    if (!regular_) return std::string_view(ahead_).starts_with(kGzipMagic);
    const absl::StatusOr<std::string> magic = ReadUpTo(kGzipMagic.size());
    if (!magic.ok()) return magic.status();
    if (absl::Status back = Seek(0); !back.ok()) return back;
    return *magic == kGzipMagic;
  }

 private:
  absl::StatusOr<size_t> ReadDescriptor(char* to, size_t size) {
    while (true) {
      if (absl::Status there = AwaitBytes(); !there.ok()) return there;
      const ssize_t n = read(fd_, to, size);
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR && errno != EAGAIN) return ReadError(identity_.name, errno);
    }
  }

  // Until a pipe has something, or its end. Files answer at once.
  absl::Status AwaitBytes() const {
    while (!regular_) {
      pollfd waiting{fd_, POLLIN, 0};
      const int ready = poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(kPipeWait)));
      if (ready > 0) break;
      if (ready < 0 && errno != EINTR) return ReadError(identity_.name, errno);
      const absl::Status go_on = options_.keep_waiting ? options_.keep_waiting()
                                 : StopSignals() > 0   ? absl::CancelledError("interrupted")
                                                       : absl::OkStatus();
      if (!go_on.ok()) return go_on;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadUpTo(size_t most) {
    std::string bytes(most, '\0');
    size_t have = 0;
    while (have < most) {
      const absl::StatusOr<size_t> n = ReadDescriptor(bytes.data() + have, most - have);
      if (!n.ok()) return n.status();
      if (*n == 0) break;
      have += *n;
    }
    bytes.resize(have);
    return bytes;
  }

  // How much of the beginning tells this pipe from another; SIZE_MAX: more than is there yet.
  size_t IdentifyingBytes() const {
    if (ahead_.size() < kGzipMagic.size()) return SIZE_MAX;
    if (std::string_view(ahead_).starts_with(kGzipMagic)) {
      return ahead_.size() < kGzipPipeDigestBytes ? SIZE_MAX : kGzipPipeDigestBytes;
    }
    size_t end = ahead_.find('\n');
    for (int line = 1; line < options_.identifying_lines && end != std::string::npos; ++line) {
      end = ahead_.find('\n', end + 1);
    }
    return end == std::string::npos ? SIZE_MAX : end;
  }

  // What identifies the pipe, and whatever came with it: a slow one is not waited for any longer than that.
  absl::Status ReadAhead() {
    constexpr size_t kChunkBytes = 64 << 10;
    while (ahead_.size() < kDigestBytes && IdentifyingBytes() == SIZE_MAX) {
      std::string chunk(kChunkBytes, '\0');
      const absl::StatusOr<size_t> n = ReadDescriptor(chunk.data(), chunk.size());
      if (!n.ok()) return n.status();
      if (*n == 0) break;
      ahead_.append(chunk, 0, *n);
    }
    return absl::OkStatus();
  }

  const int fd_;
  const bool regular_;
  const SourceOptions options_;
  InputFile identity_;
  std::string ahead_;
  size_t at_ = 0;
};

// Gzip (RFC 1952), any number of members one after the other.
class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)), chunk_(kCompressedChunkBytes) {}
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  bool Start() { return inflateInit2(&stream_, 15 + 16) == Z_OK; }  // the largest window, gzip headers only

  const InputFile& Identity() const override { return inner_->Identity(); }
  bool Ready() const override { return stream_.avail_in > 0 || inner_->Ready(); }
  bool SizeIsKnown() const override { return false; }
  absl::Status Seek(uint64_t) override {
    return absl::FailedPreconditionError("a compressed input has no known positions");
  }

  absl::StatusOr<size_t> Read(char* to, size_t size) override {
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(size, 1u << 30));
    const size_t room = stream_.avail_out;
    while (stream_.avail_out == room) {
      if (stream_.avail_in == 0) {
        const absl::StatusOr<size_t> n = inner_->Read(chunk_.data(), chunk_.size());
        if (!n.ok()) return n.status();
        if (*n == 0) {
          if (between_members_) return size_t{0};
          return Broken("ends in the middle of its compressed data — see whether it is still being written");
        }
        stream_.next_in = reinterpret_cast<Bytef*>(chunk_.data());
        stream_.avail_in = static_cast<uInt>(*n);
      }
      if (between_members_ && !BeginMember()) continue;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        between_members_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return Broken(StrCat("is damaged: ", stream_.msg != nullptr ? stream_.msg : "not gzip",
                             " — try `gzip -t` on it"));
      }
    }
    return room - stream_.avail_out;
  }

 private:
  // Zeros between or behind members are padding. False: all that is here was.
  bool BeginMember() {
    while (stream_.avail_in > 0 && *stream_.next_in == 0) ++stream_.next_in, --stream_.avail_in;
    if (stream_.avail_in == 0) return false;
    inflateReset(&stream_);
    between_members_ = false;
    return true;
  }

  absl::Status Broken(std::string_view what) const {
    return absl::DataLossError(StrCat("cannot read input ", Identity().name, " — the gzip file ", what));
  }

  std::unique_ptr<ByteSource> inner_;
  std::vector<char> chunk_;
  z_stream stream_ = {};
  bool between_members_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> ByteSource::Open(const std::string& name,
                                                             const SourceOptions& options) {
  // Not blocking: a named pipe opens before anybody writes to it, and waits where it can be told to stop.
  const int fd =
      name == kStandardInput ? STDIN_FILENO : open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ReadError(name, errno);
  struct stat about = {};
  if (fstat(fd, &about) != 0) return ReadError(name, errno);
  if (S_ISDIR(about.st_mode)) return ReadError(name, EISDIR);
  // Standard input is taken for a pipe even where it is a file: it need not stand at its beginning.
  const bool regular = S_ISREG(about.st_mode) && name != kStandardInput;
  auto plain = std::make_unique<Descriptor>(name, fd, regular, options);
  if (absl::Status known = plain->Identify(static_cast<uint64_t>(about.st_size)); !known.ok()) return known;
  const absl::StatusOr<bool> gzip = plain->IsGzip();
  if (!gzip.ok()) return gzip.status();
  if (!*gzip) return plain;
  auto compressed = std::make_unique<GzipSource>(std::move(plain));
  if (!compressed->Start()) return absl::ResourceExhaustedError("no memory to decompress with");
  return compressed;
}

}  // namespace millrace
