#include "worker/checkpoint/selection.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

CheckpointId Id(uint64_t epoch, uint64_t offset) { return {Epoch(epoch), Offset(offset)}; }
StartStep Restored(uint64_t epoch, uint64_t offset) {
  return {StartStep::Kind::kCheckpoint, Id(epoch, offset)};
}
const StartStep kLocalState = {StartStep::Kind::kLocal, {}};
const StartStep kWholeLog = {StartStep::Kind::kReplay, {}};

struct StartCase {
  const char* name;
  StartFacts facts;
  std::vector<StartStep> steps;
};

TEST(PlanStart, TriesWhatTheLogLeadsOnFrom) {
  const std::vector<StartCase> cases = {
      {"a new partition", {{}, {}, 1}, {kWholeLog}},
      {"its own state", {Offset(500), {}, 1}, {kLocalState}},
      {"its own state is newer than the checkpoints",
       {Offset(500), {Id(1, 300), Id(1, 400)}, 1},
       {kLocalState}},
      {"nothing here: the newest checkpoint, older ones, the whole log",
       {{}, {Id(1, 300), Id(1, 400), Id(1, 200)}, 1},
       {Restored(1, 400), Restored(1, 300), Restored(1, 200), kWholeLog}},
      {"a later owner's checkpoint goes before a zombie's with a greater offset",
       {{}, {Id(2, 300), Id(1, 900)}, 1},
       {Restored(2, 300), Restored(1, 900), kWholeLog}},
      {"a little behind a checkpoint: read on", {Offset(500), {Id(3, 1500)}, 1}, {kLocalState}},
      {"far behind a checkpoint: fetch it",
       {Offset(500), {Id(3, 1501), Id(3, 700)}, 1},
       {Restored(3, 1501), kLocalState}},
      {"the log's beginning is gone, and nothing is here", {{}, {}, 2}, {}},
      {"the log's beginning is gone: checkpoints that reach it",
       {{}, {Id(1, 98), Id(1, 99), Id(1, 400)}, 100},
       {Restored(1, 400), Restored(1, 99)}},
      {"what this state needs next is gone: a checkpoint",
       {Offset(50), {Id(2, 300)}, 100},
       {Restored(2, 300)}},
      {"what this state needs next is gone, and every checkpoint too", {Offset(50), {Id(2, 60)}, 100}, {}},
      {"this state ends where the log begins", {Offset(99), {}, 100}, {kLocalState}},
      {"everything was purged behind a checkpoint", {{}, {Id(4, 700)}, 701}, {Restored(4, 700)}},
  };
  for (const StartCase& c : cases) EXPECT_EQ(PlanStart(c.facts), c.steps) << c.name;
}

}  // namespace
}  // namespace millrace
