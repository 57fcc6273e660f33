// What a Step sees of a partition's state. The worker's StateStore (map in memory, RocksDB below) and the
// MemoryState of `try`, `test` and `verify` keep the same contract.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/ids.h"

namespace millrace {

// A table of values by key. A stage that keeps state has two of them (stage.h), numbered in the job file's
// order.
using TableId = uint8_t;
inline constexpr size_t kMaxStateTables = 60;
// From here on a table says something about keys whose values lie in others, and its rows are not counted as
// keys that have state.
inline constexpr TableId kFirstHelperTable = 40;

// The place of one key's value. Owned by its State, and valid until that State's next Find or Scan, or until a
// commit of it is taken.
class StateSlot {
 public:
  virtual ~StateSlot() = default;
  virtual bool exists() const = 0;
  virtual std::string_view value() const = 0;  // empty when it does not exist
  // Makes the value `size` bytes long (keeping what fits; new bytes are zero), marks it dirty, and gives its
  // place for writing. The pointer holds until the next call on this State.
  virtual char* Mutable(size_t size) = 0;
  virtual void Erase() = 0;
};

// An ordered set of small byte strings: timers by due time, keys that wait to be emitted. Held in memory,
// committed with the rest. Bounded by kMaxOrderedSet entries (Insert then answers RESOURCE_EXHAUSTED).
inline constexpr size_t kMaxOrderedSet = 4'000'000;
class OrderedSet {
 public:
  virtual ~OrderedSet() = default;
  virtual absl::Status Insert(std::string_view item) = 0;
  virtual void Erase(std::string_view item) = 0;
  virtual bool Contains(std::string_view item) const = 0;
  virtual size_t size() const = 0;
  virtual std::string_view First() const = 0;  // REQUIRES: size() > 0; valid until the next change
};

// Which keys of a table a scan is for: the first `most` of those that start with `prefix` and lie beyond
// `after`. A scan with a bound costs a look at every key in memory, one without also their order.
struct ScanRange {
  std::string_view prefix = {};
  std::optional<std::string_view> after = {};
  size_t most = std::numeric_limits<size_t>::max();

  bool Holds(std::string_view key) const {
    return key.starts_with(prefix) && (!after.has_value() || key > *after);
  }
};

// Numbers of a partition that are a function of its log; part of the state, committed with it.
struct Progress {
  int64_t log_time_ms = kNoTime;   // the greatest broker time so far
  int64_t watermark_ms = kNoTime;  // kEndOfTime behind the end mark
  bool ended = false;              // every writer's end mark was seen
  uint64_t records_in = 0;
  uint64_t records_out = 0;
  uint64_t dead_letters = 0;
  uint64_t skipped = 0;  // on_error: skip, over a rate_limit, late for a window
  uint64_t retries = 0;

  bool operator==(const Progress&) const = default;
};

// Not thread-safe: one thread owns a partition and its State.
class State {
 public:
  virtual ~State() = default;

  // The slot of `key`, whether it exists or not. Errors are the disk's. The slot is owned by the State.
  virtual absl::StatusOr<StateSlot*> Find(TableId table, std::string_view key) = 0;
  // A hint that these keys are looked up soon. A batch that is applied together is best hinted at together.
  virtual void Prefetch(TableId /*table*/, absl::Span<const std::string_view> /*keys*/) {}
  virtual OrderedSet& Ordered(TableId table) = 0;

  // Calls `visit` for the keys of the range, in byte order of the key, until it returns false. `visit` must
  // not touch this table (it may touch the others).
  virtual absl::Status Scan(
      TableId table, const ScanRange& range,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;

  // A record's changes are all or nothing. Between BeginRecord and EndRecord the old values are kept;
  // RollbackRecord puts them back (slots, ordered sets and progress()). Without BeginRecord changes are final
  // at once.
  virtual void BeginRecord() = 0;
  virtual void EndRecord() = 0;
  virtual void RollbackRecord() = 0;

  // Around the records of one message: its changes, too, are all or nothing where its Step may have to come again
  // from the beginning. Between BeginMessage and EndMessage everything that changes is kept as it was before,
  // in records and between them; RollbackMessage puts it back. REQUIRES: no record begun.
  virtual void BeginMessage() = 0;
  virtual void EndMessage() = 0;
  virtual void RollbackMessage() = 0;

  Progress& progress() { return progress_; }
  const Progress& progress() const { return progress_; }

 protected:
  Progress progress_;
};

}  // namespace millrace
