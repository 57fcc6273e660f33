#include "common/pipeline/dedupe_stage.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "common/hash/sha256.h"
#include "common/pipeline/expression_stages.h"
#include "common/pipeline/state_expiry.h"

namespace millrace {
namespace {

// A kind up to this size is kept as it is; of a longer one its SHA-256.
constexpr size_t kMaxPlainKindBytes = 64;
constexpr char kPlainKind = 'p';
constexpr char kKindDigest = 'd';
constexpr char kPackedNil = '\xc0';
constexpr size_t kKeySizeBytes = sizeof(uint32_t);

template <typename T>
T NumberIn(std::string_view bytes) {
  T number = 0;
  std::memcpy(&number, bytes.data(), std::min(sizeof number, bytes.size()));
  return number;
}

template <typename T>
void PutNumber(T number, StateSlot* slot) {
  std::memcpy(slot->Mutable(sizeof number), &number, sizeof number);
}

// In the first table: key -> how many kinds of it are remembered. In the second: size of the key, key, kind ->
// log time of the record that was let through.
class DedupeStageImpl final : public Stage {
 public:
  DedupeStageImpl(const StageSpec& spec, TableId table, absl::Duration within, const ErrorPolicy& job_errors,
                  LuaSandbox* lua, LuaSandbox::ChunkId chunk, StepContext* context)
      : Stage(spec, job_errors, context),
        table_(table),
        within_ms_(within == absl::InfiniteDuration() ? kEndOfTime : absl::ToInt64Milliseconds(within)),
        expiry_(within, ExpiryTable(table)),
        lua_(lua),
        chunk_(chunk) {}

  Traits traits() const override { return {.keeps_state = true, .guards = true}; }
  void Prefetch(absl::Span<const std::string_view> keys) override { state().Prefetch(table_, keys); }

  absl::Status Process(const RecordView& record) override {
    if (absl::Status status = NameKind(record); !status.ok()) return status;
    const int64_t now_ms = state().progress().log_time_ms;
    const absl::StatusOr<StateSlot*> slot = state().Find(kSecondTable + table_, kind_);
    if (!slot.ok()) return slot.status();
    const bool is_known = (*slot)->exists();
    if (is_known && now_ms - NumberIn<int64_t>((*slot)->value()) < within_ms_) return absl::OkStatus();
    PutNumber(now_ms, *slot);
    if (absl::Status status = expiry_.Touch(state(), kind_); !status.ok()) return status;
    if (!is_known) {
      if (absl::Status status = CountKinds(record.key, 1); !status.ok()) return status;
    }
    return HandOn(record);
  }

  absl::Status PassLogTime(int64_t, int64_t, UnitRunner) override {
    return expiry_.PassLogTime(state(), [&](std::string_view kind, int64_t) {
      const absl::StatusOr<StateSlot*> slot = state().Find(kSecondTable + table_, kind);
      if (!slot.ok()) return slot.status();
      (*slot)->Erase();
      return CountKinds(kind.substr(kKeySizeBytes, NumberIn<uint32_t>(kind)), -1);
    });
  }

  absl::Status AppendStateJson(std::string_view value, std::string* out) const override {
    StrAppend(out, R"({"remembered":)", NumberIn<int64_t>(value), "}");
    return absl::OkStatus();
  }

 private:
  // Puts the record's row in the second table into kind_.
  absl::Status NameKind(const RecordView& record) {
    packed_.clear();
    {
      const ObservedCall observed(context(), timeout(), name());
      const absl::Status run = lua_->Evaluate(chunk_, InputOf(record, context()), &packed_);
      if (!run.ok()) return Fail(run);
    }
    if (packed_.size() == 1 && packed_.front() == kPackedNil) {
      return Fail(
          "`by` is nil here — records without it cannot be told apart — filter them out in front of it");
    }
    const auto key_bytes = static_cast<uint32_t>(record.key.size());
    kind_.assign(reinterpret_cast<const char*>(&key_bytes), kKeySizeBytes);
    kind_.append(record.key);
    const bool plain = packed_.size() <= kMaxPlainKindBytes;
    kind_.push_back(plain ? kPlainKind : kKindDigest);
    plain ? kind_.append(packed_) : kind_.append(Bytes(Sha256Of(packed_)));
    return absl::OkStatus();
  }

  absl::Status CountKinds(std::string_view key, int64_t more) {
    const absl::StatusOr<StateSlot*> slot = state().Find(table_, key);
    if (!slot.ok()) return slot.status();
    const int64_t kinds = NumberIn<int64_t>((*slot)->value()) + more;
    kinds == 0 ? (*slot)->Erase() : PutNumber(kinds, *slot);
    return absl::OkStatus();
  }

  const TableId table_;
  const int64_t within_ms_;  // kEndOfTime: for ever
  StateExpiry expiry_;       // of rows in the second table
  LuaSandbox* const lua_;
  const LuaSandbox::ChunkId chunk_;
  std::string packed_;  // scratch, as is the next
  std::string kind_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stage>> MakeDedupeStage(const StageSpec& spec, TableId table,
                                                       const JobSpec& job, LuaSandbox* lua,
                                                       StepContext* context) {
  const auto& what = std::get<DedupeStage>(spec.what);
  const absl::StatusOr<LuaSandbox::ChunkId> chunk =
      lua->AddExpressions(spec.code.name, spec.code.place, {what.by});
  if (!chunk.ok()) return chunk.status();
  const absl::Duration within = what.within == absl::InfiniteDuration() ? job.ttl : what.within;
  std::unique_ptr<Stage> stage =
      std::make_unique<DedupeStageImpl>(spec, table, within, job.errors, lua, *chunk, context);
  return stage;
}

}  // namespace millrace
