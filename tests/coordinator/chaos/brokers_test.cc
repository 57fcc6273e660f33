#include "coordinator/chaos/brokers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/nats_server.h"

namespace millrace::chaos {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ChaosBrokers, OneAloneIsInNoCluster) {
  const std::string config = BrokerConfig({{"nats-server-1", "/data/1", 4001, 5001}}, 0);
  EXPECT_THAT(config, HasSubstr("listen: \"127.0.0.1:4001\""));
  EXPECT_THAT(config, HasSubstr("store_dir: \"/data/1\""));
  EXPECT_THAT(config, Not(HasSubstr("cluster")));
}

TEST(ChaosBrokers, OneOfThreeKnowsAllRoutesAndTellsClientsOfNone) {
  const std::vector<BrokerSpec> brokers = {{"nats-server-1", "/data/1", 4001, 5001},
                                           {"nats-server-2", "/data/2", 4002, 5002},
                                           {"nats-server-3", "/data/3", 4003, 5003}};
  const std::string config = BrokerConfig(brokers, 1);
  EXPECT_THAT(config, HasSubstr("server_name: nats-server-2\n"));
  EXPECT_THAT(config, HasSubstr("listen: \"127.0.0.1:5002\""));
  EXPECT_THAT(config, HasSubstr("no_advertise: true"));
  for (const char* route : {"5001", "5002", "5003"}) {
    EXPECT_THAT(config, HasSubstr(std::string("nats://127.0.0.1:") + route));
  }
}

TEST(ChaosBrokers, AProbeIsAcknowledgedWhileTheBrokerRuns) {
  const auto server = NatsServer::Start();
  ASSERT_NE(server, nullptr);
  PlainNats nats(*PlainNats::ParseUrls(server->url()));
  EXPECT_FALSE(Acknowledges(nats)) << "nothing keeps it yet";
  ASSERT_TRUE(MakeProbe(nats, 1).ok());
  EXPECT_TRUE(MakeProbe(nats, 1).ok()) << "it may be there";
  EXPECT_TRUE(Acknowledges(nats));
  EXPECT_EQ(StreamsLed(nats, "nobody").of, 1);
  server->Pause();
  EXPECT_FALSE(Acknowledges(nats));
  server->Continue();
}

}  // namespace
}  // namespace millrace::chaos
