// The bytes of frames, kept in golden/*.hex: other clients (tests/clients) read the same files. A change here
// is a change of the wire format.
#include <gtest/gtest.h>

#include "common/frame/frame.h"
#include "common/frame/message_header.h"
#include "common/value/msgpack.h"
#include "tests/common/frame/hex.h"

namespace millrace {
namespace {

std::string Golden(const char* name) {
  return ReadTestFile(absl::StrCat(MILLRACE_SOURCE_DIR, "/tests/common/frame/golden/", name, ".hex"));
}

std::string Row(int64_t flights, std::string_view last) {
  std::string bytes;
  PackWriter writer(&bytes);
  writer.Int(flights);
  writer.String(last);
  return bytes;
}

// A row with a time, a packed value with headers, raw bytes.
std::string ResultFrame() {
  FrameBuilder builder(FrameKind::kResults);
  builder.SetWatermark(978336660000);
  const std::string_view fields[] = {"flights", "last"};
  const std::string row = Row(7, "MIA");
  RecordView record;
  record.key = "ATL";
  record.value = row;
  record.shape = builder.InternShape(fields);
  record.time_ms = 978336600000;
  record.offset = Offset(17);
  record.index = 2;
  builder.Add(record);

  std::string packed;
  PackWriter writer(&packed);
  writer.Array(4);
  writer.Int(-70000);
  writer.Double(0.5);
  writer.Nil();
  writer.Bool(true);
  record = {};
  record.key = "JFK";
  record.value = packed;
  record.shape = kPackedShape;
  record.time_ms = 978336599000;
  record.offset = Offset(17);
  record.index = 3;
  builder.AddHeaders({{"trace", "t1"}});
  builder.Add(record);

  record = {};
  record.key = std::string_view("\xff", 1);
  record.value = std::string_view("\x00\xfe", 2);
  record.offset = Offset(300);
  builder.Add(record);
  return std::string(builder.Finish());
}

std::string DataFrame() {
  FrameBuilder builder;
  RecordView record;
  record.key = "k";
  record.value = "v";
  builder.Add(record);
  return std::string(builder.Finish());
}

std::string EndFrame() {
  FrameBuilder builder(FrameKind::kEnd);
  builder.SetWatermark(kEndOfTime);
  return std::string(builder.Finish());
}

TEST(FrameGoldenTest, BytesAreThoseOfTheDocumentedLayout) {
  EXPECT_EQ(ToHexLines(ResultFrame()), Golden("results"));
  EXPECT_EQ(ToHexLines(DataFrame()), Golden("data"));
  EXPECT_EQ(ToHexLines(EndFrame()), Golden("end"));
}

TEST(FrameGoldenTest, SmallestDataFrameByteByByte) {
  const std::string frame = DataFrame();
  ASSERT_EQ(frame.size(), kFrameHeaderBytes + 6);
  EXPECT_EQ(frame.substr(0, 4), std::string("MR\x01\x00", 4));
  EXPECT_EQ(frame.substr(8, 8), std::string("\x36\0\0\0\1\0\0\0", 8));   // 54 bytes, one record
  EXPECT_EQ(frame.substr(16, 8), std::string("\0\0\0\0\0\0\0\x80", 8));  // no watermark
  EXPECT_EQ(frame.substr(40, 8), std::string("\x35\0\0\0\0\0\0\0", 8));  // the shapes at 53
  EXPECT_EQ(frame.substr(kFrameHeaderBytes), std::string("\0\1k\1v\0", 6));
}

}  // namespace
}  // namespace millrace
