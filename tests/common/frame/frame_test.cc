#include "common/frame/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "common/frame/frame_layout.h"
#include "common/frame/wire.h"

namespace millrace {
namespace {

// A record that owns its bytes.
struct OwnedRecord {
  std::string key;
  std::string value;
  std::vector<std::string> fields;  // empty: shape says
  uint32_t shape = kRawShape;
  int64_t time_ms = kNoTime;
  uint64_t offset = 0;
  uint32_t index = 0;
  std::vector<std::pair<std::string, std::string>> headers;

  bool operator==(const OwnedRecord&) const = default;
};

void AddTo(FrameBuilder& builder, const OwnedRecord& owned) {
  RecordView record;
  record.key = owned.key;
  record.value = owned.value;
  record.shape = owned.shape;
  if (owned.shape >= kFirstRowShape) {
    const FieldNames fields(owned.fields.begin(), owned.fields.end());
    record.shape = builder.InternShape(fields);
  }
  record.time_ms = owned.time_ms;
  record.offset = Offset(owned.offset);
  record.index = owned.index;
  builder.AddHeaders(HeaderList(owned.headers.begin(), owned.headers.end()));
  builder.Add(record);
}

OwnedRecord Own(const RecordView& record) {
  OwnedRecord owned;
  owned.key = record.key;
  owned.value = record.value;
  owned.shape = std::min(record.shape, kFirstRowShape);
  if (record.fields != nullptr) owned.fields.assign(record.fields->begin(), record.fields->end());
  owned.time_ms = record.time_ms;
  owned.offset = record.offset.value();
  owned.index = record.index;
  const absl::StatusOr<HeaderList> headers = DecodeHeaders(record.raw_headers);
  EXPECT_TRUE(headers.ok()) << headers.status();
  if (headers.ok()) owned.headers.assign(headers->begin(), headers->end());
  return owned;
}

std::vector<OwnedRecord> ReadAll(const FrameView& view) {
  std::vector<OwnedRecord> records;
  FrameView::Cursor cursor = view.records();
  RecordView record;
  while (cursor.Next(&record)) records.push_back(Own(record));
  EXPECT_TRUE(cursor.status().ok()) << cursor.status();
  return records;
}

std::string SampleFrame() {
  FrameBuilder builder(FrameKind::kResults);
  builder.SetWatermark(1'000'000);
  AddTo(builder, {"ATL", "\x07\xa3MIA", {"flights", "last"}, kFirstRowShape, 1'700'000'000'000, 17, 0, {}});
  AddTo(builder, {"JFK", "\xc0", {}, kPackedShape, kNoTime, 17, 1, {{"trace", "a1"}}});
  AddTo(builder, {"", "", {}, kRawShape, -5, 4000, 0, {}});
  return std::string(builder.Finish());
}

void Reseal(std::string* frame) { wire::StoreFixed(frame->data() + 4, frame_layout::Checksum(*frame)); }

// Reads all of a frame that may be hostile; true when nothing was found wrong with it.
bool Reads(std::string_view bytes) {
  const absl::StatusOr<FrameView> view = FrameView::Parse(bytes);
  if (!view.ok()) {
    EXPECT_EQ(view.status().code(), absl::StatusCode::kDataLoss);
    return false;
  }
  FrameView::Cursor cursor = view->records();
  RecordView record;
  while (cursor.Next(&record)) {
    if (!DecodeHeaders(record.raw_headers).ok()) return false;
  }
  return cursor.status().ok();
}

// A frame whose records and shape table are given as bytes, under a header that matches.
std::string FrameOf(FrameKind kind, uint32_t count, std::string_view records, std::string_view shapes) {
  FrameBuilder builder(kind);
  std::string frame(builder.Finish().substr(0, kFrameHeaderBytes));
  frame.append(records);
  wire::StoreFixed(frame.data() + 12, count);
  wire::StoreFixed(frame.data() + 40, static_cast<uint32_t>(frame.size()));
  frame.append(shapes);
  wire::StoreFixed(frame.data() + 8, static_cast<uint32_t>(frame.size()));
  Reseal(&frame);
  return frame;
}

TEST(FrameTest, RecordsComeBackAsTheyWentIn) {
  const std::string frame = SampleFrame();
  const absl::StatusOr<FrameView> view = FrameView::Parse(frame);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->kind(), FrameKind::kResults);
  EXPECT_EQ(view->watermark_ms(), 1'000'000);
  EXPECT_EQ(view->record_count(), 3);
  EXPECT_THAT(
      ReadAll(*view),
      testing::ElementsAre(
          OwnedRecord{
              "ATL", "\x07\xa3MIA", {"flights", "last"}, kFirstRowShape, 1'700'000'000'000, 17, 0, {}},
          OwnedRecord{"JFK", "\xc0", {}, kPackedShape, kNoTime, 17, 1, {{"trace", "a1"}}},
          OwnedRecord{"", "", {}, kRawShape, -5, 4000, 0, {}}));
}

TEST(FrameTest, FramesWithoutRecordsAreEmpty) {
  for (FrameKind kind :
       {FrameKind::kEpoch, FrameKind::kEnd, FrameKind::kTick, FrameKind::kCode, FrameKind::kData}) {
    FrameBuilder builder(kind);
    const absl::StatusOr<FrameView> view = FrameView::Parse(builder.Finish());
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ(view->kind(), kind);
    EXPECT_EQ(view->watermark_ms(), kNoTime);
    EXPECT_TRUE(ReadAll(*view).empty());
  }
}

TEST(FrameTest, TimesAtTheEndsOfTheRangeSurvive) {
  FrameBuilder builder;
  std::vector<int64_t> times = {kEndOfTime, kNoTime + 1, 0, -1, kEndOfTime, kNoTime + 1};
  for (int64_t time : times) {
    RecordView record;
    record.time_ms = time;
    builder.Add(record);
  }
  const absl::StatusOr<FrameView> view = FrameView::Parse(builder.Finish());
  ASSERT_TRUE(view.ok());
  std::vector<int64_t> read;
  for (const OwnedRecord& record : ReadAll(*view)) read.push_back(record.time_ms);
  EXPECT_EQ(read, times);
}

TEST(FrameTest, BuilderUsedAgainCarriesNothingOver) {
  FrameBuilder builder(FrameKind::kResults);
  AddTo(builder, {"k", "v", {"a"}, kFirstRowShape, 10, 5, 1, {{"h", "1"}}});
  builder.Finish();
  builder.Reset(FrameKind::kData);
  AddTo(builder, {"k2", "v2", {}, kRawShape, 3, 0, 0, {}});
  const std::string again(builder.Finish());
  FrameBuilder fresh;
  AddTo(fresh, {"k2", "v2", {}, kRawShape, 3, 0, 0, {}});
  EXPECT_EQ(again, fresh.Finish());
}

TEST(FrameTest, SizeIsThatOfTheFinishedFrame) {
  FrameBuilder builder;
  EXPECT_EQ(builder.size(), FrameBuilder().Finish().size());
  for (int i = 0; i < 300; ++i) {
    AddTo(builder, {"key",
                    std::string(static_cast<size_t>(i), 'x'),
                    {"f" + std::to_string(i)},
                    kFirstRowShape,
                    i,
                    0,
                    0,
                    {}});
  }
  const size_t said = builder.size();
  EXPECT_EQ(builder.Finish().size(), said);
}

TEST(FrameTest, AShapeIsStoredOnceHoweverOftenAskedFor) {
  FrameBuilder builder;
  const std::string_view ab[] = {"a", "b"};
  const std::string_view ba[] = {"b", "a"};
  const std::string_view joined[] = {"ab"};
  EXPECT_EQ(builder.InternShape(ab), kFirstRowShape);
  EXPECT_EQ(builder.InternShape(ba), kFirstRowShape + 1);
  EXPECT_EQ(builder.InternShape(joined), kFirstRowShape + 2);
  EXPECT_EQ(builder.InternShape({}), kFirstRowShape + 3);
  EXPECT_EQ(builder.InternShape(ab), kFirstRowShape);
  EXPECT_EQ(builder.InternShape(ab), kFirstRowShape);
}

TEST(FrameTest, ViewUsedAgainForgetsTheFrameBefore) {
  FrameView view;
  const std::string first = SampleFrame();
  ASSERT_TRUE(view.ParseInto(first).ok());
  FrameBuilder builder;
  AddTo(builder, {"k", "v", {}, kRawShape, kNoTime, 0, 0, {}});
  ASSERT_TRUE(view.ParseInto(builder.Finish()).ok());
  EXPECT_THAT(ReadAll(view), testing::ElementsAre(OwnedRecord{"k", "v", {}, kRawShape, kNoTime, 0, 0, {}}));
  // A row of the first frame's shape is none of this one's.
  EXPECT_FALSE(view.ParseInto(std::string_view(first).substr(1)).ok());
  EXPECT_EQ(view.record_count(), 0);
  EXPECT_TRUE(ReadAll(view).empty());
}

TEST(FrameTest, TellsFramesFromStrangers) {
  EXPECT_TRUE(FrameView::LooksLikeFrame(SampleFrame()));
  EXPECT_FALSE(FrameView::LooksLikeFrame(""));
  EXPECT_FALSE(FrameView::LooksLikeFrame("MR"));
  EXPECT_FALSE(FrameView::LooksLikeFrame("MR,1,2"));
  EXPECT_FALSE(FrameView::LooksLikeFrame("MR\t1\t2"));
  EXPECT_FALSE(FrameView::LooksLikeFrame(R"({"a":1})"));
}

TEST(FrameTest, RandomFramesRoundTrip) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto below = [&random](uint64_t limit) { return random() % limit; };
    const auto text = [&](uint64_t limit) {
      std::string bytes(below(limit), '\0');
      for (char& c : bytes) c = static_cast<char>(below(256));
      return bytes;
    };
    const FrameKind kind = below(2) == 0 ? FrameKind::kData : FrameKind::kResults;
    std::vector<OwnedRecord> records(below(40));
    uint64_t offset = random() >> (8 + below(56));
    uint32_t index = 0;
    for (OwnedRecord& record : records) {
      record.key = text(40);
      record.value = text(below(10) == 0 ? 5000 : 50);
      record.shape = static_cast<uint32_t>(below(3));
      if (record.shape == kFirstRowShape) record.fields.assign(below(5), "f" + std::to_string(below(4)));
      if (below(3) > 0) record.time_ms = static_cast<int64_t>(random() >> below(60));
      if (below(4) == 0) record.headers.emplace_back(text(10), text(200));
      if (kind != FrameKind::kResults) continue;
      record.offset = offset;
      record.index = index++;
      if (below(2) == 0) {
        offset += 1 + below(1000);
        index = static_cast<uint32_t>(below(3));
      }
    }
    FrameBuilder builder(kind);
    for (const OwnedRecord& record : records) AddTo(builder, record);
    const absl::StatusOr<FrameView> view = FrameView::Parse(builder.Finish());
    ASSERT_TRUE(view.ok()) << view.status();
    ASSERT_EQ(ReadAll(*view), records);
  }
}

TEST(HostileFrameTest, EverySingleBitFlipIsRefused) {
  const std::string good = SampleFrame();
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(FrameView::Parse(bad).ok()) << "bit " << bit;
  }
}

TEST(HostileFrameTest, EveryTruncationIsRefusedEvenWithLengthAndChecksumMadeToFit) {
  const std::string good = SampleFrame();
  for (size_t size = 0; size < good.size(); ++size) {
    std::string bad = good.substr(0, size);
    EXPECT_FALSE(Reads(bad)) << "size " << size;
    if (size < kFrameHeaderBytes) continue;
    wire::StoreFixed(bad.data() + 8, static_cast<uint32_t>(size));
    Reseal(&bad);
    EXPECT_FALSE(Reads(bad)) << "size " << size << ", sealed again";
  }
}

TEST(HostileFrameTest, EveryByteChangedUnderAFreshChecksumNeverReadsOutOfBounds) {
  const std::string good = SampleFrame();
  for (size_t at = 8; at < good.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string bad = good;
      bad[at] = static_cast<char>(value);
      Reseal(&bad);
      Reads(bad);  // whatever it says: the sanitizers watch
    }
  }
}

TEST(HostileFrameTest, LengthsThatLieAreRefused) {
  const auto frame = [](std::string_view records, std::string_view shapes) {
    return FrameOf(FrameKind::kData, 1, records, shapes);
  };
  using std::string_view_literals::operator""sv;
  const std::string_view no_shapes = "\0"sv;
  EXPECT_TRUE(Reads(frame("\0\1k\1v"sv, no_shapes)));
  EXPECT_TRUE(Reads(frame("\x08\1k\1v"sv, "\1\1\1f"sv)));

  EXPECT_FALSE(Reads(frame("\0\2k\1v"sv, no_shapes))) << "value length beyond the records";
  EXPECT_FALSE(Reads(frame("\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1k"sv, no_shapes)))
      << "key of 2^64-1 bytes";
  EXPECT_FALSE(Reads(frame("\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\2k"sv, no_shapes))) << "more than 64 bits";
  EXPECT_FALSE(Reads(frame("\0\x80\x80\x80\x80"sv, no_shapes))) << "a varint without an end";
  EXPECT_FALSE(Reads(frame("\x08\1k\1v"sv, no_shapes))) << "a shape that is not in the table";
  EXPECT_FALSE(Reads(frame("\0\1k\1v+"sv, no_shapes))) << "bytes behind the last record";
  EXPECT_FALSE(Reads(frame("\2\1k\1v\x7f"sv, no_shapes))) << "127 headers, none there";
  EXPECT_FALSE(Reads(frame("\2\1k\1v\1\1h\5x"sv, no_shapes))) << "header value beyond the records";
  EXPECT_FALSE(Reads(frame("\0\1k\1v"sv, ""sv))) << "no shape table";
  EXPECT_FALSE(Reads(frame("\0\1k\1v"sv, "\0\0"sv))) << "bytes behind the shape table";
  EXPECT_FALSE(Reads(frame("\0\1k\1v"sv, "\xff\xff\xff\xff\x0f"sv))) << "4 G shapes";
  EXPECT_FALSE(Reads(frame("\0\1k\1v"sv, "\1\xff\xff\xff\xff\x0f"sv))) << "4 G fields";
  EXPECT_FALSE(Reads(frame("\0\1k\1v"sv, "\1\1\5ab"sv))) << "field name beyond the frame";
}

TEST(HostileFrameTest, CountsThatLieAreRefused) {
  using std::string_view_literals::operator""sv;
  const std::string_view record = "\0\1k\1v"sv;
  EXPECT_FALSE(Reads(FrameOf(FrameKind::kData, 0, record, "\0"sv)));
  EXPECT_FALSE(Reads(FrameOf(FrameKind::kData, 2, record, "\0"sv)));
  EXPECT_FALSE(Reads(FrameOf(FrameKind::kData, 0xffffffff, record, "\0"sv)));
  EXPECT_FALSE(Reads(FrameOf(FrameKind::kEnd, 1, record, "\0"sv))) << "an end mark carries no records";
  EXPECT_FALSE(Reads(FrameOf(static_cast<FrameKind>(7), 0, "", "\0"sv))) << "a kind of the future";
}

TEST(HostileFrameTest, LabelsThatDoNotRiseAreRefused) {
  using std::string_view_literals::operator""sv;
  const auto frame = [](std::string_view records) {
    return FrameOf(FrameKind::kResults, 2, records, "\0"sv);
  };
  EXPECT_TRUE(Reads(frame("\0\0\0\0\0\0\0\1\0\0"sv)));
  EXPECT_FALSE(Reads(frame("\0\0\0\0\0\0\0\0\0\0"sv))) << "the same label twice";
  EXPECT_FALSE(Reads(frame("\0\0\3\0\0\0\0\2\0\0"sv))) << "an index that falls";
  EXPECT_FALSE(Reads(frame("\0\1\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0\0"sv)))
      << "an offset over 2^64";
  EXPECT_FALSE(Reads(frame("\0\0\0\0\0\0\0\x80\x80\x80\x80\x10\0\0"sv))) << "an index over 2^32";
}

TEST(HostileFrameTest, MessageSaysWhatAndWhere) {
  std::string bad = FrameOf(FrameKind::kData, 1, std::string_view("\0\2k\1v", 5), std::string_view("\0", 1));
  const absl::StatusOr<FrameView> view = FrameView::Parse(bad);
  ASSERT_TRUE(view.ok());
  FrameView::Cursor cursor = view->records();
  RecordView record;
  EXPECT_FALSE(cursor.Next(&record));
  EXPECT_EQ(cursor.status().ToString(),
            "DATA_LOSS: frame of 54 bytes is corrupt: malformed value in record 0, which begins at byte 48");
  EXPECT_FALSE(cursor.Next(&record)) << "an error is final";
}

}  // namespace
}  // namespace millrace
