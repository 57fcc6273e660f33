// What the tests of the contract of bus.h share: each of them runs on both buses that keep it.
#pragma once

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "common/bus/nats_bus.h"
#include "common/clock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"
#include "tests/support/nats_server.h"

namespace millrace {

class World {
 public:
  virtual ~World() = default;
  virtual std::unique_ptr<Bus> Connect() = 0;
};

class MemoryWorld : public World {
 public:
  std::unique_ptr<Bus> Connect() override { return broker_.Connect(); }

 private:
  MemoryBroker broker_{SystemClock()};
};

class NatsWorld : public World {
 public:
  NatsWorld() : server_(NatsServer::Start()) {}
  std::unique_ptr<Bus> Connect() override {
    NatsOptions options;
    options.url = server_->url();
    auto bus = ConnectNats(options, SystemClock());
    EXPECT_TRUE(bus.ok()) << bus.status();
    return bus.ok() ? *std::move(bus) : nullptr;
  }

 private:
  std::unique_ptr<NatsServer> server_;
};

struct BusKind {
  const char* name;
  std::unique_ptr<World> (*make)();
  friend void PrintTo(const BusKind& kind, std::ostream* out) { *out << kind.name; }
};

class BusContract : public testing::TestWithParam<BusKind> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    bus_ = world_->Connect();
    ASSERT_NE(bus_, nullptr);
  }

  StreamConfig Config() const {
    StreamConfig config;
    config.name = "mr-j-0-0";
    config.subjects = {"mr.j.0.0"};
    config.description = "millrace 1";
    return config;
  }
  void MakeStream() { ASSERT_TRUE(bus_->CreateStream(Config()).ok()); }
  uint64_t Put(std::string_view payload, std::string_view header = "") {
    AppendRequest request;
    request.subject = "mr.j.0.0";
    request.header = header;
    request.payload = payload;
    const absl::StatusOr<uint64_t> sequence = bus_->AppendAndWait(request);
    EXPECT_TRUE(sequence.ok()) << sequence.status();
    return sequence.value_or(0);
  }
  absl::Status Send(Bus& bus, std::string_view payload, uint64_t cookie,
                    std::optional<uint64_t> expected = {}) {
    AppendRequest request;
    request.subject = "mr.j.0.0";
    request.payload = payload;
    request.cookie = cookie;
    request.expected_last_sequence = expected;
    return bus.Append(request);
  }
  ReaderId Read(uint64_t start, ReaderOptions options = {}) {
    options.stream = "mr-j-0-0";
    options.start_sequence = start;
    return bus_->OpenReader(options);
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<Bus> bus_;
};

}  // namespace millrace
