#include "worker/partition/look_ahead.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(QueueAhead, LooksAsFarAsTheStateHasRoom) {
  std::deque<Message> queue(5);
  for (size_t i = 0; i < queue.size(); ++i) queue[i].sequence = 1 + i;
  StepInput front;
  front.offset = Offset(1);
  int room = 2;
  QueueAhead ahead(queue, InputJudge({}, WriterCursors("0123456789abcdef")), front,
                   [&room] { return room-- > 0; });
  StepInput shown;
  EXPECT_TRUE(ahead.Next(&shown));
  EXPECT_TRUE(ahead.Next(&shown));
  EXPECT_EQ(shown.offset, Offset(3));
  EXPECT_FALSE(ahead.Next(&shown));
  EXPECT_EQ(ahead.last_seen(), Offset(3));
  EXPECT_FALSE(ahead.saw_all());
}

TEST(LookAheadPace, IsDueWhenAsMuchHasComeAsWasLookedAt) {
  LookAheadPace pace;
  pace.Looked(Offset(10), /*saw_all=*/true, /*outstanding=*/1);
  EXPECT_FALSE(pace.IsDue(Offset(10), Offset(10), 1));
  EXPECT_TRUE(pace.IsDue(Offset(10), Offset(11), 1));
  pace.Looked(Offset(11), true, 2);
  EXPECT_FALSE(pace.IsDue(Offset(10), Offset(12), 2));
  EXPECT_TRUE(pace.IsDue(Offset(10), Offset(13), 2));
  EXPECT_TRUE(pace.IsDue(Offset(12), Offset(12), 2)) << "what was looked at is done";
}

TEST(LookAheadPace, IsDueWhenHalfIsAnsweredAndThereIsMore) {
  LookAheadPace pace;
  pace.Looked(Offset(20), true, 100);
  EXPECT_FALSE(pace.IsDue(Offset(10), Offset(21), 50));
  EXPECT_TRUE(pace.IsDue(Offset(10), Offset(21), 49));
  EXPECT_FALSE(pace.IsDue(Offset(10), Offset(20), 0)) << "all of it was seen";
}

TEST(LookAheadPace, BehindALookThatDidNotSeeAllOnlyAnswersHelp) {
  LookAheadPace pace;
  pace.Looked(Offset(20), false, 100);
  EXPECT_FALSE(pace.IsDue(Offset(10), Offset(1000), 50));
  EXPECT_TRUE(pace.IsDue(Offset(10), Offset(1000), 49));
  pace.Looked(Offset(20), false, 49);
  EXPECT_FALSE(pace.IsDue(Offset(10), Offset(1000), 49)) << "it was looked just now";
}

}  // namespace
}  // namespace millrace
