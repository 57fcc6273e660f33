#include <map>
#include <random>
#include <set>

#include "common/clock.h"
#include "common/frame/frame.h"
#include "common/names.h"
#include "common/retry_thread.h"
#include "common/strings.h"
#include "coordinator/sinks/http_outlet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/forwarding_bus.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kServiceUid[] = "00000000000000aa";

// What a service got, and what it says.
struct Service {
  struct Request {
    std::string key, body;
    bool operator==(const Request&) const = default;
  };
  std::vector<Request> requests;
  std::function<absl::StatusOr<HttpAnswer>()> answer = [] { return HttpAnswer{.code = 204}; };

  absl::StatusOr<HttpAnswer> Take(const HttpRequestOut& request) {
    requests.push_back({request.headers.at("Idempotency-Key"), std::string(request.body)});
    return answer();
  }
  // What it keeps when it drops what it knows by key.
  std::vector<std::string> Bodies() const {
    std::set<std::string> known;
    std::vector<std::string> bodies;
    for (const Request& request : requests) {
      if (known.insert(request.key).second) bodies.push_back(request.body);
    }
    return bodies;
  }
};

class ServicePort final : public HttpOutlet::Port {
 public:
  ServicePort(Service& service, ManualClock& clock) : service_(service), clock_(clock) {}
  absl::StatusOr<HttpAnswer> Post(const HttpRequestOut& request) override { return service_.Take(request); }
  absl::Status Wait(absl::Duration pause) override {
    clock_.Advance(pause);
    return absl::OkStatus();
  }

 private:
  Service& service_;
  ManualClock& clock_;
};

class HttpSinkTest : public testing::Test {
 protected:
  HttpSinkTest() : broker_(clock_), admin_(broker_.Connect()) {
    EXPECT_TRUE(admin_->CreateBucket(kAssignmentsBucket).ok());
    sink_.service.url = "http://example.org/totals?token=secret";
    sink_.batch_records = 2;
  }

  // A try at bringing results out, and what a session has read for it.
  struct Life {
    std::unique_ptr<HttpOutlet> outlet;
    absl::StatusOr<SinkPosition> position;
    SinkPosition at;
  };
  Life Begin() { return Begin(*admin_); }
  Life Begin(Bus& keys) {
    Life life;
    HttpOutletOptions options;
    options.uid = kServiceUid;
    options.sink = sink_;
    options.writer = StrCat("writer-", ++lives_);
    options.secrets = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = secrets_.find(name);
      if (found == secrets_.end()) return std::nullopt;
      return found->second;
    };
    life.outlet =
        std::make_unique<HttpOutlet>(options, keys, std::make_unique<ServicePort>(service_, clock_), clock_);
    life.position = life.outlet->Begin();
    if (life.position.ok()) life.at = *life.position;
    life.at.partitions.resize(2);
    return life;
  }
  // The message `sequence` of a partition with the one record of that number.
  static absl::Status Put(Life& life, uint32_t partition, uint64_t sequence) {
    const std::string key = StrCat("k", sequence);
    RecordView record;
    record.key = key;
    record.value = "x";
    record.offset = Offset(sequence);
    SinkPartition& at = life.at.partitions[partition];
    if (sequence <= at.sequence) return absl::OkStatus();  // a session reads on from the position
    at.sequence = sequence;
    at.offset = sequence + 1;
    ++life.at.records;
    return life.outlet->Put(PartitionId(partition), record);
  }
  static absl::Status Commit(Life& life) { return life.outlet->Commit(life.at); }
  static std::string Line(uint32_t partition, uint64_t sequence) {
    return StrCat(R"({"key":"k)", sequence, R"(","value":"x","partition":)", partition, R"(,"offset":)",
                  sequence, R"(,"index":0})", "\n");
  }

  ManualClock clock_;
  MemoryBroker broker_;
  std::unique_ptr<MemoryBus> admin_;
  HttpSinkSpec sink_;
  Service service_;
  std::map<std::string, std::string> secrets_;
  int lives_ = 0;
};

TEST_F(HttpSinkTest, PostsResultsInBatchesOfTheirPartitionsOrder) {
  Life life = Begin();
  for (const uint64_t n : {1, 2, 3}) EXPECT_TRUE(Put(life, 1, n).ok());
  EXPECT_TRUE(Put(life, 0, 1).ok());
  EXPECT_TRUE(Commit(life).ok());
  EXPECT_THAT(service_.requests,
              ElementsAre(Service::Request{StrCat(kServiceUid, ".0.1.0-1.1.0"), Line(0, 1) + Line(1, 1)},
                          Service::Request{StrCat(kServiceUid, ".1.2.0-1.3.0"), Line(1, 2) + Line(1, 3)}));
  EXPECT_EQ(life.outlet->ToString(), "service http://example.org/totals") << "the query may be a secret";
  Life heir = Begin();
  EXPECT_EQ(heir.position->records, 4u) << "the next one goes on behind it";
  EXPECT_TRUE(heir.outlet->End().ok());
  EXPECT_TRUE(absl::IsNotFound(admin_->GetKey(kAssignmentsBucket, SinkAtKey(kServiceUid)).status()));
}

TEST_F(HttpSinkTest, AnArrayIsOneDocument) {
  sink_.format = HttpSinkSpec::Format::kArray;
  Life life = Begin();
  for (const uint64_t n : {1, 2}) EXPECT_TRUE(Put(life, 0, n).ok());
  EXPECT_TRUE(Commit(life).ok());
  const auto object = [](uint64_t n) { return Line(0, n).substr(0, Line(0, n).size() - 1); };
  EXPECT_EQ(service_.requests.front().body, StrCat("[", object(1), ",", object(2), "]"));
}

TEST_F(HttpSinkTest, WhatMayHaveArrivedIsSentAgainAsTheSameBatches) {
  Life dies = Begin();
  for (const uint64_t n : {1, 2, 3}) EXPECT_TRUE(Put(dies, 0, n).ok());
  service_.answer = [this]() -> absl::StatusOr<HttpAnswer> {
    if (service_.requests.size() >= 2) return absl::UnavailableError("the connection was reset");
    return HttpAnswer{.code = 200};
  };
  EXPECT_TRUE(absl::IsUnavailable(Commit(dies)));
  EXPECT_EQ(service_.requests.size(), 1u + kSinkPostTries);
  service_.requests.resize(2);
  service_.answer = [] { return HttpAnswer{.code = 200}; };

  Life heir = Begin();
  EXPECT_EQ(heir.position->records, 0u);
  // Its session comes to them in other portions, with more behind them.
  for (const uint64_t n : {1, 2, 3, 4}) EXPECT_TRUE(Put(heir, 1, n).ok());
  EXPECT_TRUE(Put(heir, 0, 1).ok());
  EXPECT_TRUE(Commit(heir).ok());
  EXPECT_EQ(service_.requests.size(), 2u) << "not all that was noted is here yet";
  for (const uint64_t n : {2, 3, 4}) EXPECT_TRUE(Put(heir, 0, n).ok());
  EXPECT_TRUE(Commit(heir).ok());
  ASSERT_GE(service_.requests.size(), 4u);
  EXPECT_EQ(service_.requests[2], service_.requests[0]);
  EXPECT_EQ(service_.requests[3], service_.requests[1]);
  std::string all;
  for (const std::string& body : service_.Bodies()) all += body;
  EXPECT_EQ(all, StrCat(Line(0, 1), Line(0, 2), Line(0, 3), Line(0, 4), Line(1, 1), Line(1, 2), Line(1, 3),
                        Line(1, 4)));
}

TEST_F(HttpSinkTest, OneOfTwoWritersDecidesWhatIsSent) {
  Life late = Begin();
  EXPECT_TRUE(Put(late, 0, 1).ok());
  Life heir = Begin();
  EXPECT_TRUE(absl::IsAborted(Commit(late)));
  EXPECT_TRUE(service_.requests.empty());
  EXPECT_TRUE(Put(heir, 0, 1).ok());
  EXPECT_TRUE(Commit(heir).ok());
  EXPECT_EQ(service_.requests.size(), 1u);
}

TEST_F(HttpSinkTest, WhoComesWhenAllIsOutBeginsNothing) {
  Life life = Begin();
  ASSERT_TRUE(admin_->CreateKey(kAssignmentsBucket, SinkDoneKey(kServiceUid), "{}").ok());
  ASSERT_TRUE(life.outlet->End().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Begin().position.status()));
}

TEST_F(HttpSinkTest, WhoComesWhileTheLastIsBroughtOutBeginsNothing) {
  // All is out between the look for the position and the first note.
  class EndsMeanwhile final : public ForwardingBus {
   public:
    explicit EndsMeanwhile(Bus& bus) : ForwardingBus(bus), bus_(bus) {}
    absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                       std::string_view value) override {
      EXPECT_TRUE(bus_.CreateKey(kAssignmentsBucket, SinkDoneKey(kServiceUid), "{}").ok());
      return bus_.CreateKey(bucket, key, value);
    }

   private:
    Bus& bus_;
  };
  Life last = Begin();
  ASSERT_TRUE(last.outlet->End().ok());
  EndsMeanwhile keys(*admin_);
  EXPECT_TRUE(absl::IsFailedPrecondition(Begin(keys).position.status()));
  EXPECT_TRUE(absl::IsNotFound(admin_->GetKey(kAssignmentsBucket, SinkAtKey(kServiceUid)).status()));
}

TEST_F(HttpSinkTest, SaysWhatTheServiceSaid) {
  Life life = Begin();
  EXPECT_TRUE(Put(life, 0, 7).ok());
  service_.answer = [] { return HttpAnswer{.code = 401, .body = "who\nare you?"}; };
  const absl::Status refused = Commit(life);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("service http://example.org/totals refuses a batch of 1 results from 0.7.0 on: "
                        "HTTP 401 who are you?"));

  Life again = Begin();
  EXPECT_TRUE(Put(again, 0, 7).ok());
  service_.answer = [] {
    HttpAnswer busy{.code = 429};
    busy.headers.emplace_back("retry-after", "7");
    return busy;
  };
  EXPECT_EQ(PauseOf(Commit(again)), absl::Seconds(7));
  EXPECT_EQ(service_.requests.size(), 2u) << "it does not wait for so long itself";
}

TEST_F(HttpSinkTest, SecretsComeFromTheEnvironment) {
  sink_.service.headers = {{"Authorization", "Bearer ${TOKEN}"}};
  const absl::Status missing = Begin().position.status();
  EXPECT_TRUE(absl::IsFailedPrecondition(missing));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("MILLRACE_SECRET_TOKEN is not set"));
  secrets_["TOKEN"] = "abc";
  EXPECT_TRUE(Begin().position.ok());
}

// Whatever fails, wherever it dies: a service that knows batches by their keys has each result once, each partition's
// in order.
TEST_F(HttpSinkTest, BatchesNeverOverlapWhateverFails) {
  for (int seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    admin_->DeleteKey(kAssignmentsBucket, SinkAtKey(kServiceUid)).IgnoreError();
    service_.requests.clear();
    std::mt19937 random(seed);
    service_.answer = [&random]() -> absl::StatusOr<HttpAnswer> {
      switch (random() % 6) {
        case 0:
          return absl::UnavailableError("reset");
        case 1:
          return HttpAnswer{.code = 503};
        default:
          return HttpAnswer{.code = 200};
      }
    };
    constexpr uint64_t kRecords = 40;
    bool all_out = false;
    for (int life_number = 0; !all_out; ++life_number) {
      ASSERT_LT(life_number, 500);
      Life life = Begin();
      absl::Status status = life.position.status();
      while (status.ok() && !all_out) {
        const uint32_t partition = random() % 2;
        const uint64_t next = life.at.partitions[partition].sequence + 1;
        if (next <= kRecords) status = Put(life, partition, next);
        if (status.ok() && random() % 5 == 0) {
          status = Commit(life);
          all_out = status.ok() && life.at.records == 2 * kRecords;
        }
        if (random() % 40 == 0) break;  // it dies
      }
    }
    std::map<uint32_t, std::string> out, expected;
    for (const std::string& body : service_.Bodies()) {
      for (size_t from = 0; from < body.size(); from = body.find('\n', from) + 1) {
        const std::string line = body.substr(from, body.find('\n', from) + 1 - from);
        out[line.find("\"partition\":0") != std::string::npos ? 0 : 1] += line;
      }
    }
    for (const uint32_t p : {0, 1}) {
      for (uint64_t n = 1; n <= kRecords; ++n) expected[p] += Line(p, n);
    }
    EXPECT_EQ(out, expected);
  }
}

}  // namespace
}  // namespace millrace
