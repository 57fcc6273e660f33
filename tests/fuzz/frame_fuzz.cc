// Any bytes as a frame, as message headers, as a value. Frames get a checksum that fits, so that what lies
// behind it is reached.
#include <cstdint>
#include <string>

#include "common/frame/frame.h"
#include "common/frame/frame_layout.h"
#include "common/frame/message_header.h"
#include "common/frame/wire.h"
#include "common/frame/writer_cursors.h"
#include "common/value/value.h"

namespace {

using namespace millrace;  // NOLINT(google-build-using-namespace): one file, all of it under test

void WalkValue(const RecordView& record) {
  std::string json;
  (void)AppendJson(ValueView::Of(record), &json);
  (void)FindField(ValueView::Of(record), "a.b");
  PackReader reader(record.value);
  PackToken token;
  while (reader.Next(&token)) {
  }
  PackReader skipper(record.value);
  while (!skipper.done() && skipper.Skip()) {
  }
}

void WalkFrame(std::string bytes) {
  if (bytes.size() >= kFrameHeaderBytes) {
    bytes.replace(0, 3, "MR\x01");
    wire::StoreFixed(bytes.data() + 8, static_cast<uint32_t>(bytes.size()));
    wire::StoreFixed(bytes.data() + 4, frame_layout::Checksum(bytes));
  }
  static FrameView view;
  if (!view.ParseInto(bytes).ok()) return;
  FrameView::Cursor cursor = view.records();
  RecordView record;
  uint32_t records = 0;
  while (cursor.Next(&record)) {
    ++records;
    (void)DecodeHeaders(record.raw_headers);
    WalkValue(record);
  }
  if (cursor.status().ok() && records != view.record_count()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  WalkFrame(std::string(bytes));
  RecordView packed;
  packed.value = bytes;
  packed.shape = kPackedShape;
  WalkValue(packed);
  if (const auto header = ParseMessageHeader(bytes); header.ok()) {
    const auto again = ParseMessageHeader(FormatMessageHeader(*header));
    if (!again.ok() || *again != *header) __builtin_trap();
  }
  (void)WriterCursors::Decode(bytes);
  return 0;
}
