// Which requests of a stage go out next, and what becomes of one that was answered. Pure: no socket; time and chance
// are given.
//
// With `by_key` a key's next request goes out when the one before is done with, its repeats included. A request that
// is to be repeated waits for its time and holds up no other key.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/handler/call_request.h"
#include "common/handler/handler_call.h"
#include "common/http/http_call.h"

namespace millrace {

// Not thread-safe. What it may hold is bounded by who asks: kMaxCallsAsked for each asker (call_memos.h).
class RequestQueue {
 public:
  using Id = uint64_t;
  explicit RequestQueue(std::shared_ptr<const CallStage> stage) : stage_(std::move(stage)) {}

  void UseStage(std::shared_ptr<const CallStage> stage) { stage_ = std::move(stage); }
  const CallStage& stage() const { return *stage_; }

  // A call that is none of ours is answered at once.
  void Add(HandlerCall call, std::vector<CallAnswer>* answers);
  // Its calls need no answers any more; answers the ids of those that are out, which are forgotten.
  std::vector<Id> DropAsker(uint64_t asker);

  // The next request, which is out from now on; nullopt: none may go at `now`. It stays where it is until it is
  // answered.
  struct Out {
    Id id = 0;
    const HttpCallRequest* request = nullptr;
  };
  std::optional<Out> Next(absl::Duration now);
  // When the first of those that wait for their time may go; InfiniteDuration: none does.
  absl::Duration next_at() const;

  struct Chance {
    absl::Duration now;  // monotonic
    absl::Time date;     // what Retry-After is measured from
    double share = 0;    // of the pause before the next try, in [0, 1)
  };
  // What came of a request that is out: another try later, or its answer. Of one that is not, nothing.
  void Take(Id id, const absl::StatusOr<HttpAnswer>& answer, const Chance& chance,
            std::vector<CallAnswer>* answers);

  size_t waiting() const { return tasks_.size() - out_; }
  size_t out() const { return out_; }

 private:
  struct Task {
    Id id = 0;
    HandlerCall call;
    HttpCallRequest request;
    int tries = 0;
    bool is_out = false;
  };
  using Key = std::pair<uint64_t, std::string>;  // asker and key
  void MakeReady(Id id, absl::Duration at);
  void Finish(Task& task);

  std::shared_ptr<const CallStage> stage_;
  Id last_id_ = 0;
  size_t out_ = 0;
  absl::flat_hash_map<Id, std::unique_ptr<Task>> tasks_;
  std::map<std::pair<absl::Duration, Id>, Id> ready_;  // by the time from which they may go
  absl::flat_hash_map<Key, std::deque<Id>> lines_;     // with by_key: the first is ready or out
};

}  // namespace millrace
