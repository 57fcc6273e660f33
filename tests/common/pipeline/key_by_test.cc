#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/job/segments.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What leaves the first segment of these stages for one record of key "k".
RecordingSink Leaving(const std::string& stages, const std::string& json) {
  PipelineRig rig(SegmentOf(PipelineRig::Parse(stages), SegmentId(0)), {});
  EXPECT_TRUE(rig.Feed({{"k", json}}).ok());
  return rig.sink;
}

TEST(KeyBy, TakesAFieldAPathAListOrAnExpression) {
  const std::string json = R"({"a":"x","n":7,"f":1.5,"t":true,"m":{"b":"deep"}})";
  const auto key = [&](const std::string& by) {
    return Leaving("stages:\n  - key_by: " + by + "\n", json).outputs;
  };
  EXPECT_THAT(key("a"), ElementsAre("x " + json));
  EXPECT_THAT(key("n"), ElementsAre("7 " + json));
  EXPECT_THAT(key("f"), ElementsAre("1.5 " + json));
  EXPECT_THAT(key("t"), ElementsAre("true " + json));
  EXPECT_THAT(key("m.b"), ElementsAre("deep " + json));
  EXPECT_THAT(key("[ a, n ]"), ElementsAre("[\"x\",7] " + json));
  EXPECT_THAT(key("'lua: key .. r.a .. r.n'"), ElementsAre("kx7 " + json));
}

TEST(KeyBy, WhatHasNoSuchKeyIsADeadLetterAndLeavesNothingBehind) {
  const std::string stages =
      "stages:\n  - aggregate: { n: count(), to: last(to) }\n    name: count\n  - key_by: to\n    name: "
      "move\n";
  PipelineRig rig(SegmentOf(PipelineRig::Parse(stages), SegmentId(0)), {});
  ASSERT_TRUE(rig.Feed({{"k", R"({"x":1})"}, {"k", R"({"to":"b"})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(b {"n":1,"to":"b"})")) << "the first was not counted";
  ASSERT_EQ(rig.sink.letters.size(), 1u);
  EXPECT_THAT(rig.sink.letters[0], HasSubstr("0 move: no key: field `to` is null"));
}

TEST(KeyBy, NilTablesAndContainersAreNoKeys) {
  for (const char* by : {"o", "l", "z", "none", "'lua: r.none'", "'lua: r'"}) {
    const RecordingSink sink =
        Leaving(StrCat("stages:\n  - key_by: ", by, "\n"), R"({"o":{"a":1},"l":[1],"z":null})");
    EXPECT_TRUE(sink.outputs.empty()) << by;
    ASSERT_EQ(sink.letters.size(), 1u) << by;
    EXPECT_THAT(sink.letters[0], HasSubstr("no key")) << by;
  }
}

TEST(KeyBy, TimeAndHeadersTravel) {
  PipelineRig rig(SegmentOf(PipelineRig::Parse("stages:\n  - key_by: a\n"), SegmentId(0)), {});
  ASSERT_TRUE(rig.Feed({{"k", R"({"a":"x"})", 1234, {{"trace", "7"}}}}).ok());
  EXPECT_THAT(rig.sink.times, ElementsAre(1234));
  EXPECT_THAT(rig.sink.header_texts, ElementsAre("trace=7;"));
}

// A message of the segment before that was cut anew: records that came with an earlier one are passed over,
// and those that are left keep their places in the frame.
TEST(KeyBy, RecordsThatCameBeforeArePassedOver) {
  const auto pipeline = Pipeline::Create(PipelineRig::Parse("stages:\n  - map: r.v + 0\n"), {});
  ASSERT_TRUE(pipeline.ok());
  FrameBuilder builder(FrameKind::kResults);
  for (uint32_t i = 0; i < 4; ++i) {
    std::string value;
    PackWriter(&value).Int(i);
    RecordView record;
    record.key = "k";
    const std::string_view fields[] = {"v"};
    record.shape = builder.InternShape(fields);
    if (i == 3) value = std::string("\xc0");  // nil: `r.v + 0` fails
    record.value = value;
    record.offset = Offset(10 + i);
    record.index = 1;
    builder.Add(record);
  }
  const auto frame = FrameView::Parse(builder.Finish());
  ASSERT_TRUE(frame.ok());
  StepInput input;
  input.offset = Offset(5);
  input.frame = &*frame;
  input.taken_until = {12, 0};
  MemoryState state;
  RecordingSink sink;
  ASSERT_TRUE((*pipeline)->Step(input, state, sink).ok());
  EXPECT_THAT(sink.outputs, ElementsAre("k 2"));
  ASSERT_EQ(sink.letters.size(), 1u);
  EXPECT_THAT(sink.letters[0], HasSubstr("3 map-0: "));
  EXPECT_EQ(state.progress().records_in, 2u);
}

}  // namespace
}  // namespace millrace
