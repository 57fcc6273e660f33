#include "coordinator/chaos/plain_reader.h"

#include <zlib.h>

#include <bit>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"

namespace millrace::chaos {
namespace {

constexpr size_t kHeadBytes = 48;
constexpr size_t kMaxNesting = 32;
constexpr int kResultsKind = 1;

// Takes values off the front of a frame. After the first that is not there, everything is zero and `broken`.
class FrameBytes {
 public:
  FrameBytes(std::string_view bytes, size_t at) : bytes_(bytes), at_(at) {}

  bool broken() const { return broken_; }
  size_t at() const { return at_; }

  uint64_t Little(size_t size) {
    uint64_t value = 0;
    const std::string_view raw = Take(size);
    for (size_t i = raw.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(raw[i - 1]);
    return value;
  }
  uint64_t Big(size_t size) {
    uint64_t value = 0;
    for (const char c : Take(size)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint64_t byte = Little(1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    broken_ = true;
    return 0;
  }
  std::string_view Sized() { return Take(Varint()); }
  std::string_view Take(size_t size) {
    if (broken_ || size > bytes_.size() - at_) {
      broken_ = true;
      return {};
    }
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }

 private:
  std::string_view bytes_;
  size_t at_;
  bool broken_ = false;
};

nlohmann::json Unpack(FrameBytes& in, size_t nesting);

nlohmann::json UnpackMany(FrameBytes& in, size_t count, bool is_map, size_t nesting) {
  nlohmann::json many = is_map ? nlohmann::json::object() : nlohmann::json::array();
  for (size_t i = 0; i < count && !in.broken(); ++i) {
    if (!is_map) {
      many.push_back(Unpack(in, nesting + 1));
      continue;
    }
    const nlohmann::json name = Unpack(in, nesting + 1);
    nlohmann::json value = Unpack(in, nesting + 1);
    many[name.is_string() ? name.get<std::string>() : name.dump()] = std::move(value);
  }
  return many;
}

int64_t Signed(uint64_t raw, size_t size) {
  const unsigned unused = static_cast<unsigned>(64 - 8 * size);
  return static_cast<int64_t>(raw << unused) >> unused;
}

// One MessagePack value (https://github.com/msgpack/msgpack/blob/master/spec.md), without extension types.
nlohmann::json Unpack(FrameBytes& in, size_t nesting) {
  const uint64_t lead = in.Little(1);
  if (in.broken() || nesting > kMaxNesting) return nullptr;
  const auto text = [&](size_t size) { return nlohmann::json(std::string(in.Take(size))); };
  if (lead < 0x80) return lead;
  if (lead < 0x90) return UnpackMany(in, lead & 0x0f, true, nesting);
  if (lead < 0xa0) return UnpackMany(in, lead & 0x0f, false, nesting);
  if (lead < 0xc0) return text(lead & 0x1f);
  if (lead >= 0xe0) return static_cast<int64_t>(lead) - 256;
  switch (lead) {
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
    case 0xd9:
      return text(in.Big(1));
    case 0xc5:
    case 0xda:
      return text(in.Big(2));
    case 0xc6:
    case 0xdb:
      return text(in.Big(4));
    case 0xca:
      return std::bit_cast<float>(static_cast<uint32_t>(in.Big(4)));
    case 0xcb:
      return std::bit_cast<double>(in.Big(8));
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return in.Big(size_t{1} << (lead - 0xcc));
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: {
      const size_t size = size_t{1} << (lead - 0xd0);
      return Signed(in.Big(size), size);
    }
    case 0xdc:
      return UnpackMany(in, in.Big(2), false, nesting);
    case 0xdd:
      return UnpackMany(in, in.Big(4), false, nesting);
    case 0xde:
      return UnpackMany(in, in.Big(2), true, nesting);
    case 0xdf:
      return UnpackMany(in, in.Big(4), true, nesting);
    default:
      return nullptr;
  }
}

using Shapes = std::vector<std::vector<std::string>>;

Shapes ReadShapes(FrameBytes in) {
  Shapes shapes;
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count && !in.broken(); ++i) {
    shapes.emplace_back();
    const uint64_t fields = in.Varint();
    for (uint64_t f = 0; f < fields && !in.broken(); ++f) shapes.back().emplace_back(in.Sized());
  }
  return shapes;
}

nlohmann::json ReadValue(std::string_view bytes, uint64_t shape, const Shapes& shapes, bool* broken) {
  if (shape == 0) return std::string(bytes);
  FrameBytes in(bytes, 0);
  nlohmann::json value;
  if (shape == 1) {
    value = Unpack(in, 0);
  } else if (shape - 2 < shapes.size()) {
    value = nlohmann::json::object();
    for (const std::string& name : shapes[shape - 2]) value[name] = Unpack(in, 0);
  } else {
    *broken = true;
  }
  *broken = *broken || in.broken();
  return value;
}

uint32_t Checksum(std::string_view frame) {
  const auto* bytes = reinterpret_cast<const Bytef*>(frame.data());
  const uLong head = crc32(0, bytes, 4);
  return static_cast<uint32_t>(crc32(head, bytes + 8, static_cast<uInt>(frame.size() - 8)));
}

bool ParseMark(std::string_view text, PlainMark* mark) {
  const size_t dot = text.find('.');
  return dot != std::string_view::npos && absl::SimpleAtoi(ToAbsl(text.substr(0, dot)), &mark->first) &&
         absl::SimpleAtoi(ToAbsl(text.substr(dot + 1)), &mark->second);
}

}  // namespace

absl::StatusOr<PlainHeader> ParsePlainHeader(std::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(ToAbsl(text), ' ');
  PlainHeader header;
  if (words.size() < 8 || words[0] != "1" || words[1].size() != 1 ||
      !absl::SimpleAtoi(words[4], &header.epoch) || !ParseMark(words[5], &header.prev) ||
      !ParseMark(words[6], &header.upto) || !absl::SimpleAtoi(words[7], &header.records)) {
    return absl::DataLossError(StrCat("not a header: \"", text, "\""));
  }
  header.kind = words[1][0];
  header.uid = words[2];
  header.writer = words[3];
  return header;
}

absl::StatusOr<std::vector<PlainRecord>> ReadPlainFrame(std::string_view frame) {
  if (frame.size() < kHeadBytes || frame.substr(0, 3) != std::string_view("MR\x01", 3)) {
    return absl::DataLossError("not a frame");
  }
  FrameBytes in(frame, 3);
  const uint64_t kind = in.Little(1);
  const uint64_t checksum = in.Little(4), length = in.Little(4), count = in.Little(4);
  in.Take(16);
  uint64_t offset = in.Little(8);
  const uint64_t shapes_at = in.Little(4);
  if (length != frame.size() || checksum != Checksum(frame) || shapes_at > frame.size()) {
    return absl::DataLossError("a frame with a wrong length or checksum");
  }
  const Shapes shapes = ReadShapes(FrameBytes(frame, shapes_at));
  in = FrameBytes(frame, kHeadBytes);
  std::vector<PlainRecord> records;
  bool broken = false;
  for (uint64_t i = 0; i < count && !in.broken(); ++i) {
    const uint64_t tag = in.Varint();
    PlainRecord record;
    if (kind == kResultsKind) {
      record.offset = offset += in.Varint();
      record.index = in.Varint();
    }
    if (tag & 1) in.Varint();  // the time
    record.key = std::string(in.Sized());
    record.value = ReadValue(in.Sized(), tag >> 2, shapes, &broken);
    if (tag & 2) {
      const uint64_t headers = in.Varint();
      for (uint64_t h = 0; h < 2 * headers && !in.broken(); ++h) in.Sized();
    }
    records.push_back(std::move(record));
  }
  if (broken || in.broken()) return absl::DataLossError("a frame that ends within a record");
  return records;
}

Taken PlainReader::Judge(const PlainHeader& header, PlainMark* before) {
  if (header.uid != uid_) return Taken::kForeign;
  Writer& writer = writers_[header.writer];
  if (header.epoch < writer.epoch) return Taken::kStale;
  writer.epoch = header.epoch;
  if (header.prev > writer.mark) return Taken::kGap;
  *before = writer.mark;
  if (header.upto <= writer.mark) return Taken::kDuplicate;
  writer.mark = header.upto;
  return Taken::kTaken;
}

uint32_t PlainPartition(std::string_view key, uint32_t partitions) {
  uint32_t hash = 2166136261u;
  for (const char c : key) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash % partitions;
}

}  // namespace millrace::chaos
