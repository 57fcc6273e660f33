#include "common/append/append_queue.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

PendingAppend Frame(const std::string& payload) {
  PendingAppend append;
  append.payload = payload;
  return append;
}

PendingAppend Letter(const std::string& payload) {
  PendingAppend append = Frame(payload);
  append.kind = PendingAppend::Kind::kDeadLetter;
  return append;
}

// Sends what may be sent, and says what that was.
std::string SendAll(AppendQueue& queue) {
  std::string sent;
  while (const PendingAppend* next = queue.NextToSend()) {
    sent += next->payload;
    queue.Sent(absl::ZeroDuration());
  }
  return sent;
}

TEST(AppendQueue, ConfirmsInOrderHoweverAcknowledgementsCome) {
  AppendQueue queue;
  for (const char* payload : {"a", "b", "c"}) queue.Push(Frame(payload));
  EXPECT_EQ(SendAll(queue), "abc");
  EXPECT_EQ(queue.Acknowledge(3, 12), 0u);
  EXPECT_EQ(queue.Acknowledge(2, 11), 0u);
  EXPECT_EQ(queue.Acknowledge(1, 10), 3u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(AppendQueue, SendsAgainWhatFollowsAMissingOneThoughItWasAcknowledged) {
  AppendQueue queue;
  for (const char* payload : {"a", "b", "c"}) queue.Push(Frame(payload));
  SendAll(queue);
  queue.Acknowledge(1, 10);
  queue.Acknowledge(3, 11);  // b is missing: readers drop c as a gap
  queue.Rewind();
  EXPECT_EQ(SendAll(queue), "bc");
  queue.Acknowledge(2, 12);
  queue.Acknowledge(3, 13);
  EXPECT_TRUE(queue.empty());
}

TEST(AppendQueue, DoesNotTrustAnAcknowledgementFromBeforeTheFrameInFront) {
  AppendQueue queue;
  queue.Push(Frame("a"));
  queue.Push(Frame("b"));
  SendAll(queue);
  queue.Acknowledge(2, 10);
  EXPECT_EQ(queue.Acknowledge(1, 11), 1u);
  EXPECT_FALSE(queue.empty()) << "b lies before a in the stream, where it was dropped";
}

TEST(AppendQueue, TakesALateAcknowledgementOfAnEarlierAttempt) {
  AppendQueue queue;
  queue.Push(Frame("a"));
  SendAll(queue);
  queue.Rewind();
  EXPECT_EQ(queue.Acknowledge(1, 10), 1u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.Acknowledge(1, 11), 0u) << "the second attempt's";
}

TEST(AppendQueue, HoldsFramesUntilTheDeadLettersBeforeThemAreAcknowledged) {
  AppendQueue queue;
  queue.Push(Frame("a"));
  queue.Push(Letter("x"));
  queue.Push(Letter("y"));
  queue.Push(Frame("b"));
  EXPECT_EQ(SendAll(queue), "axy");
  queue.Acknowledge(2, 100);
  EXPECT_EQ(SendAll(queue), "");
  queue.Acknowledge(3, 101);
  EXPECT_EQ(SendAll(queue), "b");
  queue.Rewind();
  EXPECT_EQ(SendAll(queue), "ab") << "letters that are safe are not sent again";
}

}  // namespace
}  // namespace millrace
