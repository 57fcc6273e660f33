#include "coordinator/dead_letters/letter_purge.h"

#include "tests/coordinator/dead_letters/letters_fixture.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LetterPurgeTest : public LettersFixture {
 protected:
  uint64_t Purge() {
    const auto purged = PurgeDeadLetters(*bus_, clock_, job_);
    EXPECT_TRUE(purged.ok()) << purged.status();
    return purged.value_or(0);
  }
  uint64_t Stored() { return bus_->GetStream(DeadLetterStream("j"))->messages; }
};

TEST_F(LetterPurgeTest, PurgedLettersAreGoneAndStayGoneWhenAnOwnerSendsThemAgain) {
  AddLetter("0.0.1.0");
  AddLetter("0.0.2.0");
  EXPECT_EQ(Purge(), 2u);
  EXPECT_EQ(Stored(), 1u) << "their ids alone";
  AddLetter("0.0.2.0");
  AddLetter("0.0.3.0");
  EXPECT_THAT(Listed(), ElementsAre("0.0.3.0 null"));
}

TEST_F(LetterPurgeTest, ALaterPurgeKeepsWhatEarlierOnesPurged) {
  AddLetter("0.0.1.0");
  Purge();
  AddLetter("0.0.2.0");
  EXPECT_EQ(Purge(), 1u);
  AddLetter("0.0.1.0");
  AddLetter("0.0.2.0");
  EXPECT_THAT(Listed(), IsEmpty());
}

TEST_F(LetterPurgeTest, KilledBeforeTheSpaceWasGivenBackItGivesItBackTheNextTime) {
  AddLetter("0.0.1.0");
  AddLetter("0.0.2.0");
  Append(DeadLetterSubject("j", kFirstSegment, kPartition), "", EncodePurgedMark(kUid, {"0.0.1.0"}));
  EXPECT_THAT(Listed(), ElementsAre("0.0.2.0 null"));
  EXPECT_EQ(Purge(), 1u);
  EXPECT_EQ(Stored(), 1u);
  EXPECT_THAT(Listed(), IsEmpty());
}

TEST_F(LetterPurgeTest, WithoutLettersThereIsNothingToDo) {
  EXPECT_EQ(Purge(), 0u);
  EXPECT_EQ(Stored(), 0u);
}

TEST_F(LetterPurgeTest, ManyIdsTakeSeveralMarks) {
  for (size_t i = 0; i < kPurgedIdsAMark + 1; ++i) AddLetter(StrCat("0.0.", i, ".0"));
  EXPECT_EQ(Purge(), kPurgedIdsAMark + 1);
  EXPECT_EQ(Stored(), 2u);
}

TEST_F(LetterPurgeTest, AnotherJobsMarksDoNotCount) {
  AddLetter("0.0.1.0");
  Append(DeadLetterSubject("j", kFirstSegment, kPartition), "",
         EncodePurgedMark("00000000000000bb", {"0.0.1.0"}));
  EXPECT_THAT(Listed(), ElementsAre("0.0.1.0 null"));
}

}  // namespace
}  // namespace millrace
