// pools: what a pool of threads makes of slow calls, and what it costs quick ones. The pool is the worker's; there is
// no broker and no partition beside it.
#include "common/strings.h"
#include "integration/bench/running_pool.h"

namespace millrace::bench {
namespace {

constexpr uint32_t kHopThreads = 2;

}  // namespace

absl::Status RunPools(const std::vector<std::string>& arguments) {
  ToolFlags flags("pools",
                  "Measures pools of threads: slow calls against the least time, and what quick ones cost.");
  int64_t records = 10'000;
  flags.flags().Add("records", &records, "N", "slow calls, and a hundred times as many quick ones");
  if (absl::Status status = flags.Parse(arguments); !status.ok()) return status;
  const Json key = RunSlowCalls(CallOrder::kKey, static_cast<size_t>(records));
  const Json none = RunSlowCalls(CallOrder::kNone, static_cast<size_t>(records));
  const uint64_t frames = static_cast<uint64_t>(records) * 100 / kQuickFrameRecords;
  const absl::StatusOr<double> inline_micros = QuickCallMicros(1, frames);
  const absl::StatusOr<double> pooled_micros = QuickCallMicros(kHopThreads, frames);
  if (!inline_micros.ok()) return inline_micros.status();
  if (!pooled_micros.ok()) return pooled_micros.status();
  Print({{"key", key},
         {"none", none},
         {"inline_us", *inline_micros},
         {"pooled_us", *pooled_micros},
         {"hop_us", *pooled_micros - *inline_micros}});
  return absl::OkStatus();
}

}  // namespace millrace::bench
