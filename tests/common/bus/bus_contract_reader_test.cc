// What bus.h promises of readers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/strings.h"
#include "tests/common/bus/bus_contract.h"
#include "tests/support/bus_events.h"

namespace millrace {
namespace {

TEST_P(BusContract, ReaderBeginsWhereItWasToldAndFollows) {
  MakeStream();
  for (const char* payload : {"1", "2", "3"}) Put(payload, "h");
  const ReaderId reader = Read(2);
  EXPECT_EQ(NextEvent(*bus_).message.payload, "2");
  const BusEvent third = NextEvent(*bus_);
  EXPECT_EQ(third.reader, reader);
  EXPECT_EQ(third.message.sequence, 3u);
  EXPECT_EQ(third.message.header, "h");
  EXPECT_EQ(third.message.subject, "mr.j.0.0");
  EXPECT_GT(third.message.time_ns, 0);
  Put("4");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "4");
}

TEST_P(BusContract, ReaderAtTheEndWaitsForWhatComes) {
  MakeStream();
  Put("1");
  Read(2);
  Put("2");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "2");
}

TEST_P(BusContract, ReaderOfHeadersGetsNoPayloads) {
  MakeStream();
  Put("payload", "h");
  ReaderOptions options;
  options.headers_only = true;
  Read(1, options);
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.message.header, "h");
  EXPECT_EQ(event.message.payload, "");
}

TEST_P(BusContract, ReaderGetsUserHeadersWhereItWantsThem) {
  MakeStream();
  const UserHeaders headers = {{"Kind", "two words"}, {"traceparent", "00-4bf92f35-00f067aa-01"}};
  AppendRequest request;
  request.subject = "mr.j.0.0";
  request.header = "h";
  request.payload = "1";
  request.message_id = "first";
  request.user_headers = &headers;
  ASSERT_TRUE(bus_->AppendAndWait(request).ok());
  Put("2");
  ReaderOptions options;
  options.user_headers = true;
  Read(1, options);
  const Message first = NextEvent(*bus_).message;
  EXPECT_EQ(first.header, "h");
  EXPECT_EQ(first.payload, "1");
  EXPECT_EQ(first.user_headers, headers) << "neither ours nor the broker's";
  EXPECT_EQ(NextEvent(*bus_).message.user_headers, UserHeaders());
}

TEST_P(BusContract, ReaderGetsNoMoreThanItsWindow) {
  MakeStream();
  for (int i = 0; i < 20; ++i) Put("x");
  ReaderOptions options;
  options.window_messages = 6;
  const ReaderId reader = Read(1, options);
  EXPECT_EQ(PollMessages(*bus_, 6).size(), 6u);
  EXPECT_TRUE(StaysQuiet(*bus_));
  bus_->Grant(reader, 4, 4);
  EXPECT_EQ(PollMessages(*bus_, 4).size(), 4u);
  EXPECT_TRUE(StaysQuiet(*bus_));
  bus_->Grant(reader, 6, 6);
  EXPECT_EQ(PollMessages(*bus_, 6).size(), 6u);
}

TEST_P(BusContract, ReaderGetsNoMoreBytesThanItsWindow) {
  MakeStream();
  for (int i = 0; i < 10; ++i) Put(std::string(10'000, 'x'));
  ReaderOptions options;
  options.window_bytes = 35'000;
  const ReaderId reader = Read(1, options);
  EXPECT_EQ(PollMessages(*bus_, 3).size(), 3u);
  EXPECT_TRUE(StaysQuiet(*bus_));
  bus_->Grant(reader, 3, 30'000);
  EXPECT_EQ(PollMessages(*bus_, 3).size(), 3u);
}

TEST_P(BusContract, MessageLargerThanTheWindowComesAlone) {
  MakeStream();
  Put(std::string(100'000, 'a'));
  Put(std::string(100'000, 'b'));
  ReaderOptions options;
  options.window_bytes = 1'000;
  const ReaderId reader = Read(1, options);
  EXPECT_EQ(NextEvent(*bus_).message.payload.front(), 'a');
  bus_->Grant(reader, 1, 100'000);
  EXPECT_EQ(NextEvent(*bus_).message.payload.front(), 'b');
}

TEST_P(BusContract, ReaderBehindTheEndSaysDataLoss) {
  MakeStream();
  Put("1");
  Read(3);
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.type, BusEvent::Type::kReaderError);
  EXPECT_TRUE(absl::IsDataLoss(event.status)) << event.status;
}

TEST_P(BusContract, ReaderOfNoStreamSaysNotFound) {
  Read(1);
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.type, BusEvent::Type::kReaderError);
  EXPECT_TRUE(absl::IsNotFound(event.status)) << event.status;
}

TEST_P(BusContract, ReaderThatAwaitsItsStreamBeginsWhenItIsMade) {
  ReaderOptions options;
  options.await_stream = true;
  Read(1, options);
  EXPECT_TRUE(StaysQuiet(*bus_));
  MakeStream();
  Put("1");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "1");
}

TEST_P(BusContract, ReaderSeesThatItsStreamIsGone) {
  MakeStream();
  Put("1");
  Read(1);
  EXPECT_EQ(NextEvent(*bus_).message.payload, "1");
  ASSERT_TRUE(bus_->DeleteStream("mr-j-0-0").ok());
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.type, BusEvent::Type::kReaderError);
  EXPECT_TRUE(absl::IsNotFound(event.status)) << event.status;
}

TEST_P(BusContract, ClosedReaderIsSilent) {
  MakeStream();
  const ReaderId reader = Read(1);
  Put("1");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "1");
  bus_->CloseReader(reader);
  Put("2");
  EXPECT_TRUE(StaysQuiet(*bus_));
}

TEST_P(BusContract, PollReturnsNoMoreThanItWasAskedFor) {
  MakeStream();
  for (int i = 0; i < 5; ++i) Put("x");
  Read(1);
  std::vector<BusEvent> events;
  while (events.empty()) EXPECT_LE(bus_->Poll(absl::Seconds(1), 2, &events), 2u);
  while (events.size() < 5) EXPECT_LE(bus_->Poll(absl::Seconds(1), 2, &events), 2u);
  for (uint64_t i = 0; i < 5; ++i) EXPECT_EQ(events[i].message.sequence, i + 1);
}

TEST_P(BusContract, WakeEndsAPollThatWaits) {
  std::thread waker([this] { bus_->Wake(); });
  std::vector<BusEvent> events;
  const absl::Time start = absl::Now();
  EXPECT_EQ(bus_->Poll(absl::Seconds(60), 10, &events), 0u);
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
  waker.join();
}

}  // namespace
}  // namespace millrace
