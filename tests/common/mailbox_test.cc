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

TEST(MailboxTest, LosesNothingWithManySendersAndASlowReceiver) {
  constexpr int kSenders = 4;
  constexpr int kEach = 3 * kMailboxCapacity / kSenders;  // more than fits: senders must wait
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
