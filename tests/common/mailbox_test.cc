#include "common/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace millrace {
namespace {

TEST(MailboxTest, DeliversInOrderFromOneSender) {
  Mailbox<int> mailbox;
  for (int i = 0; i < 100; ++i) mailbox.Send(i);
  for (int i = 0; i < 100; ++i) {
    const auto item = mailbox.Receive(absl::Seconds(10));
    ASSERT_NE(item, nullptr);
    EXPECT_EQ(*item, i);
  }
  EXPECT_EQ(mailbox.Receive(absl::ZeroDuration()), nullptr);
}

// Two threads that send each other more than either takes meanwhile would otherwise wait for each other.
TEST(MailboxTest, SendDoesNotWaitForTheReceiver) {
  constexpr int kMany = 100'000;
  Mailbox<int> mailbox;
  for (int i = 0; i < kMany; ++i) mailbox.Send(i);
  for (int i = 0; i < kMany; ++i) ASSERT_EQ(*mailbox.Receive(absl::Seconds(10)), i);
}

TEST(MailboxTest, LosesNothingWithManySendersAndASlowReceiver) {
  constexpr int kSenders = 4;
  constexpr int kEach = 10'000;
  Mailbox<int> mailbox;
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&mailbox, s] {
      for (int i = 0; i < kEach; ++i) mailbox.Send(s * kEach + i);
    });
  }
  std::vector<int> next(kSenders, 0);
  for (int n = 0; n < kSenders * kEach; ++n) {
    const auto item = mailbox.Receive(absl::Seconds(30));
    ASSERT_NE(item, nullptr);
    EXPECT_EQ(*item % kEach, next[*item / kEach]++);  // each sender's items stay in order
  }
  for (std::thread& sender : senders) sender.join();
}

TEST(MailboxTest, DestroysWhatNobodyTook) {
  auto item = std::make_shared<int>(1);
  {
    Mailbox<std::shared_ptr<int>> mailbox;
    mailbox.Send(item);
    EXPECT_EQ(item.use_count(), 2);
  }
  EXPECT_EQ(item.use_count(), 1);
}

}  // namespace
}  // namespace millrace
