// Which requests of a stage go out next, and what becomes of one that was answered. Pure: no socket; time and chance
// are given.
//
// With `by_key` a key's next request goes out when the one before is done with, its repeats included. A request that
// is to be repeated waits for its time and holds up no other key.
//
// With a batch a request is one of several calls, of whichever partitions and keys: as many as `size` says, or those
// that are there when the first has waited for `linger`. Calls of a key are in one batch, in their order, or in one
// batch after the other. A batch is repeated as it was; where it is refused, or has no more attempts, its calls go out
// again in kBatchParts parts, in their order, until one that is not taken stands alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/handler/call_request.h"
#include "common/handler/handler_call.h"
#include "common/http/http_call.h"

namespace millrace {

inline constexpr size_t kBatchParts = 8;

// Not thread-safe. What it may hold is bounded by who asks: kMaxCallsAsked for each asker (call_memos.h).
class RequestQueue {
 public:
  using Id = uint64_t;
  explicit RequestQueue(std::shared_ptr<const CallStage> stage);
  ~RequestQueue();

  void UseStage(std::shared_ptr<const CallStage> stage) { stage_ = std::move(stage); }
  const CallStage& stage() const { return *stage_; }

  // A call that is none of ours is answered at once.
  void Add(HandlerCall call, absl::Duration now, std::vector<CallAnswer>* answers);
  // Its calls need no answers any more; answers the ids of the requests that are out for it alone, which are forgotten.
  std::vector<Id> DropAsker(uint64_t asker);

  // The next request, which is out from now on; nullopt: none may go at `now`. It stays where it is until it is
  // answered.
  struct Out {
    Id id = 0;
    const HttpCallRequest* request = nullptr;
    std::string_view digest;  // the same for its repeats, and for no other request
    size_t calls = 0;
  };
  std::optional<Out> Next(absl::Duration now);
  // When the first of those that wait for their time may go; InfiniteDuration: none does.
  absl::Duration next_at() const;

  struct Chance {
    absl::Duration now;  // monotonic
    absl::Time date;     // what Retry-After is measured from
    double share = 0;    // of the pause before the next try, in [0, 1)
  };
  // What came of a request that is out: another try later, or its answers. Of one that is not, nothing.
  void Take(Id id, const absl::StatusOr<HttpAnswer>& answer, const Chance& chance,
            std::vector<CallAnswer>* answers);

  size_t waiting() const { return waiting_; }  // calls that are in no request yet
  size_t out() const { return out_; }          // requests

  struct Counts {
    uint64_t requests = 0, records = 0;  // that went out, repeats too
    uint64_t retries = 0;                // requests that were not taken and are repeated as they were
    uint64_t divided = 0;                // that go on in parts
    uint64_t failures = 0;               // records that failed for good
  };
  const Counts& counts() const { return counts_; }

 private:
  using Key = std::pair<uint64_t, std::string>;     // asker and key
  using GroupKey = std::pair<size_t, std::string>;  // how many calls at most, and their URL
  struct Task;
  struct Line;
  struct Group;
  struct Sending;

  size_t usual_size() const { return stage_->batch.has_value() ? stage_->batch->size : 1; }
  static GroupKey GroupOf(const Task& task);
  void AddToLine(std::unique_ptr<Task> task, absl::Duration now);
  void Enrol(Line& line, absl::Duration now);
  void Withdraw(Line& line);
  void Schedule(Group& group);
  Sending& Gather(Group& group);
  void TakeFrom(Line& line, size_t most, Sending* sending, size_t* bytes);
  void Build(Sending& sending) const;
  Out SendOut(Sending& sending);
  absl::Status AnswerAll(const Sending& sending, const HttpAnswer& answer, std::vector<CallAnswer>* answers);
  void Divide(Sending& sending);
  void Finish(Sending& sending, absl::Duration now);

  std::shared_ptr<const CallStage> stage_;
  Id last_id_ = 0;
  size_t out_ = 0;
  size_t waiting_ = 0;
  Counts counts_;
  absl::flat_hash_map<Key, std::unique_ptr<Line>> lines_;
  std::map<GroupKey, std::unique_ptr<Group>> groups_;
  std::map<std::pair<absl::Duration, GroupKey>, Group*> gathering_;  // by when they may go
  absl::flat_hash_map<Id, std::unique_ptr<Sending>> sendings_;
  std::map<std::pair<absl::Duration, Id>, Sending*> repeats_;  // by when they may go
};

}  // namespace millrace
