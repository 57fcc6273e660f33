#include "coordinator/leader/drain_commands.h"

#include "common/cluster/documents.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DrainCommandsTest : public testing::Test {
 protected:
  void Give(const std::string& key, const std::string& verb, const std::string& process) {
    KeyValue& entry = entries_[key];
    entry.key = key;
    entry.value = Encode(Command{verb, "me", process});
    entry.revision = ++revision_;
  }
  std::vector<std::string> Drained() {
    return DrainedWorkers(entries_, [this](const std::string& name) { return processes_[name]; });
  }

  Entries entries_;
  uint64_t revision_ = 0;
  std::map<std::string, std::string> processes_ = {{"w1", "p1"}, {"w-2", "p2"}};
};

TEST_F(DrainCommandsTest, TheLastCommandInOrderOfRevisionCounts) {
  Give("drain.w1.1", "drain", "p1");
  EXPECT_THAT(Drained(), ElementsAre("w1"));
  Give("drain.w1.10", "undrain", "p1");
  EXPECT_THAT(Drained(), IsEmpty());
  Give("drain.w1.2", "drain", "p1");
  EXPECT_THAT(Drained(), ElementsAre("w1"));
}

TEST_F(DrainCommandsTest, EachWorkerHasItsOwn) {
  Give("drain.w-2.1", "drain", "p2");
  Give("drain.w1.1", "drain", "p1");
  EXPECT_THAT(Drained(), ElementsAre("w-2", "w1"));
}

TEST_F(DrainCommandsTest, AProcessThatWasStartedAgainServes) {
  Give("drain.w1.1", "drain", "p1");
  processes_["w1"] = "p9";
  EXPECT_THAT(Drained(), IsEmpty());
}

TEST_F(DrainCommandsTest, AWorkerThatIsNotAliveIsNotDraining) {
  Give("drain.w1.1", "drain", "p1");
  Give("drain.w3.1", "drain", "");
  processes_["w1"] = "";
  EXPECT_THAT(Drained(), IsEmpty());
}

TEST_F(DrainCommandsTest, OtherKeysAreNoCommands) {
  Give("drain.w1", "drain", "p1");
  Give("cmd.u1.1", "drain", "p1");
  entries_["drain.w1.1"] = {"drain.w1.1", "no json", 7, false, 0};
  EXPECT_THAT(Drained(), IsEmpty());
}

}  // namespace
}  // namespace millrace
