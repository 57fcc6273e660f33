#include "common/pipeline/rate_limit_stage.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "common/pipeline/rate_pacer.h"
#include "common/pipeline/state_expiry.h"
#include "common/pipeline/token_bucket.h"

namespace millrace {
namespace {

// A bucket's row goes when it would be full, and is not looked at more often than this asks for.
constexpr absl::Duration kLeastKept = absl::Minutes(1);

absl::Duration TimeToFill(const TokenRule& rule) {
  return std::max(kLeastKept, absl::Milliseconds(MsUntil(rule, 0, rule.capacity)));
}

// The row of a stage's one bucket, or the key's.
std::string_view BucketOf(const RateLimitStage& limit, const RecordView& record) {
  return limit.per == RateLimitStage::Per::kStage ? std::string_view() : record.key;
}

// `drop` and `dead_letter`. The table: key -> TokenLevel. A bucket without a row is full.
class SheddingStage final : public Stage {
 public:
  SheddingStage(const StageSpec& spec, TableId table, const JobSpec& job, StepContext* context)
      : Stage(spec, ErrorPolicy(),
              context),  // what is over the limit is a dead letter, whatever the job's policy
        limit_(std::get<RateLimitStage>(spec.what)),
        rule_(RuleOf(limit_, job.partitions)),
        table_(table),
        expiry_(TimeToFill(rule_), ExpiryTable(table)) {}

  Traits traits() const override {
    return {.can_fail = limit_.excess == RateLimitStage::Excess::kDeadLetter,
            .keeps_state = true,
            .runs_code = false,
            .guards = true};
  }
  void Prefetch(absl::Span<const std::string_view> keys) override {
    if (limit_.per == RateLimitStage::Per::kKey) state().Prefetch(table_, keys);
  }

  absl::Status Process(const RecordView& record) override {
    const std::string_view bucket = BucketOf(limit_, record);
    const int64_t now_ms = state().progress().log_time_ms;
    const absl::StatusOr<StateSlot*> slot = state().Find(table_, bucket);
    if (!slot.ok()) return slot.status();
    const int64_t units = UnitsOf(**slot, now_ms);
    if (units < rule_.cost) return Shed();
    const TokenLevel level{units - rule_.cost, now_ms};
    std::memcpy((*slot)->Mutable(sizeof level), &level, sizeof level);
    if (absl::Status status = expiry_.Touch(state(), bucket); !status.ok()) return status;
    return HandOn(record);
  }

  // Goes by what the bucket holds and not by when it was noted: the rate may have changed since.
  absl::Status PassLogTime(int64_t, int64_t now_ms, UnitRunner) override {
    return expiry_.PassLogTime(state(), [&](std::string_view bucket, int64_t) {
      const absl::StatusOr<StateSlot*> slot = state().Find(table_, bucket);
      if (!slot.ok()) return slot.status();
      if (UnitsOf(**slot, now_ms) < rule_.capacity) return expiry_.Touch(state(), bucket);
      (*slot)->Erase();
      return absl::OkStatus();
    });
  }

  absl::Status AppendStateJson(std::string_view value, std::string* out) const override {
    const TokenLevel level = LevelIn(value);
    StrAppend(out, R"({"tokens":)", level.units / rule_.cost, R"(,"at_ms":)", level.at_ms, "}");
    return absl::OkStatus();
  }

 private:
  static TokenLevel LevelIn(std::string_view value) {
    TokenLevel level;
    std::memcpy(&level, value.data(), std::min(sizeof level, value.size()));
    return level;
  }
  int64_t UnitsOf(const StateSlot& slot, int64_t now_ms) const {
    return slot.exists() ? UnitsAt(rule_, LevelIn(slot.value()), now_ms) : rule_.capacity;
  }

  absl::Status Shed() {
    if (limit_.excess == RateLimitStage::Excess::kDeadLetter) {
      const bool is_keys = limit_.per == RateLimitStage::Per::kKey;
      return Fail(StrCat("over the rate of ", RateText(limit_), is_keys ? " for its key" : " for the stage"));
    }
    ++state().progress().skipped;
    return absl::OkStatus();
  }

  const RateLimitStage limit_;
  const TokenRule rule_;
  const TableId table_;
  StateExpiry expiry_;
};

// `wait`.
class PacingStage final : public Stage {
 public:
  PacingStage(const StageSpec& spec, const JobSpec& job, StepContext* context)
      : Stage(spec, ErrorPolicy(), context),
        limit_(std::get<RateLimitStage>(spec.what)),
        rule_(RuleOf(limit_, job.partitions)) {
    context->waits_for_rates = true;
  }

  Traits traits() const override { return {.can_fail = true, .runs_code = false}; }  // stopping is failing

  absl::Status Process(const RecordView& record) override {
    if (context().pacer == nullptr) return HandOn(record);
    const std::string_view bucket = BucketOf(limit_, record);
    if (!context().may_pause) {
      TakeOnce(bucket);
      return HandOn(record);
    }
    if (absl::Duration wait = NextToken(bucket); wait > absl::ZeroDuration()) return Pause(wait);
    return HandOn(record);
  }

 private:
  // What does not wait knows nothing of what it was given before.
  void TakeOnce(std::string_view bucket) {
    auto take = [this, bucket = std::string(bucket), &pacer = *context().pacer] {
      (void)pacer.Take(name(), bucket, rule_);
    };
    if (context().calls == nullptr) return take();
    context().when_it_counts.push_back(std::move(take));
  }

  // A record that was stopped comes again from its beginning, and has what it was given before: one that fans
  // out to more than a burst would never come through otherwise.
  absl::Duration NextToken(std::string_view bucket) {
    const bool is_same = offset_ == context().offset && record_ == context().record;
    if (!is_same) given_ = GivenBefore();
    if (!is_same || frame_serial_ != context().frame_serial) asked_ = 0;
    offset_ = context().offset;
    record_ = context().record;
    frame_serial_ = context().frame_serial;
    if (asked_ == given_) {
      const absl::Duration wait = context().pacer->Take(name(), bucket, rule_);
      if (wait > absl::ZeroDuration()) return wait;
      ++given_;
    }
    ++asked_;
    return absl::ZeroDuration();
  }

  // Where stages have handlers, all records of a message come again.
  uint64_t GivenBefore() {
    if (context().calls == nullptr) return 0;
    if (offset_ != context().offset) {
      given_to_.clear();
    } else {
      given_to_[record_] = given_;
    }
    const auto found = given_to_.find(context().record);
    return found == given_to_.end() ? 0 : found->second;
  }

  const RateLimitStage limit_;
  const TokenRule rule_;
  // The record that asked last: tokens given to it, and how many this attempt of it has asked for.
  Offset offset_;
  uint32_t record_ = 0;
  uint64_t frame_serial_ = 0;
  uint64_t given_ = 0;
  uint64_t asked_ = 0;
  absl::flat_hash_map<uint32_t, uint64_t> given_to_;  // by record of the message `offset_`
};

}  // namespace

std::unique_ptr<Stage> MakeRateLimitStage(const StageSpec& spec, TableId table, const JobSpec& job,
                                          StepContext* context) {
  if (!KeepsState(spec)) return std::make_unique<PacingStage>(spec, job, context);
  return std::make_unique<SheddingStage>(spec, table, job, context);
}

}  // namespace millrace
