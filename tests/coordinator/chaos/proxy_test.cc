// The proxy between a client and a server of this test.
#include "coordinator/chaos/proxy.h"

#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <functional>

#include "common/clock.h"

namespace millrace::chaos {
namespace {

using boost::asio::ip::tcp;

class ProxyTest : public testing::Test {
 protected:
  ProxyTest()
      : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}),
        client_(context_),
        server_(context_) {
    auto proxy = Proxy::Start({acceptor_.local_endpoint().port()});
    EXPECT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    client_.connect({boost::asio::ip::address_v4::loopback(), proxy_->port()});
    acceptor_.accept(server_);
  }

  static void Say(tcp::socket& socket, const std::string& text) {
    boost::asio::write(socket, boost::asio::buffer(text));
  }
  static std::string Hear(tcp::socket& socket, size_t size) {
    std::string text(size, '\0');
    boost::system::error_code error;
    text.resize(boost::asio::read(socket, boost::asio::buffer(text), error));
    return text;
  }
  // The bound only ends a test that fails.
  static bool Becomes(const std::function<bool()>& holds) {
    const absl::Duration until = SystemClock().Monotonic() + absl::Seconds(20);
    while (!holds() && SystemClock().Monotonic() < until) SystemClock().Sleep(absl::Milliseconds(1));
    return holds();
  }

  boost::asio::io_context context_;
  tcp::acceptor acceptor_;
  tcp::socket client_, server_;
  std::unique_ptr<Proxy> proxy_;
};

TEST_F(ProxyTest, PassesBothWays) {
  Say(client_, "ping");
  EXPECT_EQ(Hear(server_, 4), "ping");
  Say(server_, "pong");
  EXPECT_EQ(Hear(client_, 4), "pong");
  EXPECT_EQ(proxy_->WaitedBytes(), 0);
}

TEST_F(ProxyTest, LeadsToTheNextServerWhereNobodyListens) {
  tcp::acceptor gone(context_, {boost::asio::ip::address_v4::loopback(), 0});
  const uint16_t nobody = gone.local_endpoint().port();
  gone.close();
  const auto proxy = Proxy::Start({nobody, acceptor_.local_endpoint().port()});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  tcp::socket client(context_), server(context_);
  client.connect({boost::asio::ip::address_v4::loopback(), (*proxy)->port()});
  acceptor_.accept(server);
  Say(client, "ping");
  EXPECT_EQ(Hear(server, 4), "ping");
  EXPECT_EQ((*proxy)->Connections(), 1);
  (*proxy)->Reset();
  EXPECT_EQ((*proxy)->Connections(), 0);
}

TEST_F(ProxyTest, HoldsOneDirectionAndLetsGoInOrder) {
  proxy_->Hold(Direction::kToServer);
  Say(client_, "one two ");
  ASSERT_TRUE(Becomes([&] { return proxy_->Held("two") == 1; }));
  Say(server_, "pong");
  EXPECT_EQ(Hear(client_, 4), "pong") << "the other direction is open";
  proxy_->Release(0.5);
  EXPECT_EQ(Hear(server_, 4), "one ");
  proxy_->Release(1);
  EXPECT_EQ(Hear(server_, 4), "two ");
  Say(client_, "three");
  EXPECT_EQ(Hear(server_, 5), "three");
  EXPECT_EQ(proxy_->WaitedBytes(), 8);
}

TEST_F(ProxyTest, HoldsFromANeedleOn) {
  proxy_->HoldFrom("!");
  Say(client_, "before");
  EXPECT_EQ(Hear(server_, 6), "before");
  Say(client_, "now!");
  ASSERT_TRUE(Becomes([&] { return proxy_->Held("!") == 1; }));
  Say(client_, "then");
  proxy_->Release(1);
  EXPECT_EQ(Hear(server_, 8), "now!then");
}

TEST_F(ProxyTest, DelaysAndKeepsTheOrder) {
  proxy_->Delay(Direction::kToClient, absl::Milliseconds(50));
  const absl::Duration began = SystemClock().Monotonic();
  Say(server_, "slow");
  proxy_->Delay(Direction::kToClient, absl::ZeroDuration());
  EXPECT_EQ(Hear(client_, 4), "slow");
  Say(server_, "fast");
  EXPECT_EQ(Hear(client_, 4), "fast");
  EXPECT_LT(SystemClock().Monotonic() - began, absl::Seconds(20));
}

TEST_F(ProxyTest, ALostPieceComesAgainAndAllBehindIt) {
  proxy_->Lose(1, 7);
  const absl::Duration began = SystemClock().Monotonic();
  Say(client_, "lost");
  EXPECT_EQ(Hear(server_, 4), "lost");
  EXPECT_GE(SystemClock().Monotonic() - began, kRepeatAfter);
  EXPECT_EQ(proxy_->LostPieces(), 1);
}

TEST_F(ProxyTest, ResetsEveryConnection) {
  Say(client_, "ping");
  EXPECT_EQ(Hear(server_, 4), "ping");
  EXPECT_EQ(proxy_->Reset(), 1);
  EXPECT_EQ(Hear(server_, 1), "");
  EXPECT_EQ(Hear(client_, 1), "");
}

TEST_F(ProxyTest, CountsWhatPasses) {
  proxy_->Count(Direction::kToClient, "x");
  Say(server_, "axbx");
  EXPECT_EQ(Hear(client_, 4), "axbx");
  Say(client_, "xxx");
  EXPECT_EQ(Hear(server_, 3), "xxx");
  EXPECT_EQ(proxy_->Counted("x"), 2);
}

TEST_F(ProxyTest, ANewConnectionWorksWhenTheServerCameBack) {
  const uint16_t port = acceptor_.local_endpoint().port();
  acceptor_.close();
  server_.close();
  tcp::socket refused(context_);
  refused.connect({boost::asio::ip::address_v4::loopback(), proxy_->port()});
  EXPECT_EQ(Hear(refused, 1), "") << "nobody is there";
  acceptor_ = tcp::acceptor(context_, {boost::asio::ip::address_v4::loopback(), port});
  tcp::socket again(context_), taken(context_);
  again.connect({boost::asio::ip::address_v4::loopback(), proxy_->port()});
  acceptor_.accept(taken);
  Say(again, "ping");
  EXPECT_EQ(Hear(taken, 4), "ping");
}

}  // namespace
}  // namespace millrace::chaos
