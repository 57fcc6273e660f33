#include "tests/simulation/ledger.h"

#include <random>

#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace::sim {
namespace {

constexpr int64_t kChainFactor = 31;
constexpr int64_t kChainModulus = 1'000'003;

constexpr char kLuaStage[] = R"(
  - keyed:
      lua: |
        state.count = (state.count or 0) + 1
        state.sum = (state.sum or 0) + r.seq
        state.chain = ((state.chain or 0) * 31 + r.seq) % 1000003
        emit({count = state.count, sum = state.sum, chain = state.chain, seq = r.seq})
    on_error: retry
    retry: {attempts: 10, backoff: 10ms..100ms}
)";
constexpr char kNativeStage[] = R"(
  - aggregate: {count: count(), sum: sum(seq), last: last(seq)}
)";
constexpr char kFinalStage[] = R"(
  - aggregate: {count: count(), sum: sum(seq), last: last(seq)}
    emit: final
)";

const char* StageOf(Handler handler) {
  switch (handler) {
    case Handler::kNative:
      return kNativeStage;
    case Handler::kLua:
      return kLuaStage;
    case Handler::kFinal:
      return kFinalStage;
  }
  return "";
}

}  // namespace

void Account::Take(int64_t seq) {
  ++count;
  sum += seq;
  chain = (chain * kChainFactor + seq) % kChainModulus;
  last = seq;
}

std::string Account::OutputJson(Handler handler) const {
  if (handler == Handler::kLua)
    return StrCat(R"({"chain":)", chain, R"(,"count":)", count, R"(,"seq":)", last, R"(,"sum":)", sum, "}");
  return StateJson(handler);
}

std::string Account::StateJson(Handler handler) const {
  if (handler == Handler::kLua)
    return StrCat(R"({"chain":)", chain, R"(,"count":)", count, R"(,"sum":)", sum, "}");
  return StrCat(R"({"count":)", count, R"(,"sum":)", sum, R"(,"last":)", last, "}");
}

Ledger::Ledger(const LedgerOptions& options, uint64_t seed)
    : options_(options), by_partition_(options.partitions) {
  std::mt19937_64 random(seed);
  std::map<std::string, int64_t> counts;
  for (uint32_t i = 0; i < options.records; ++i) {
    LedgerRecord record;
    record.key = StrCat("key-", random() % options.keys);
    if (record.key.size() < options.key_bytes) record.key.resize(options.key_bytes, '.');
    record.seq = ++counts[record.key];
    record.line = StrCat(R"({"k":")", record.key, R"(","seq":)", record.seq, "}");
    by_partition_[PartitionOf(record.key, options.partitions).value()].push_back(record);
    records_.push_back(std::move(record));
  }
  keys_ = counts.size();
}

std::string Ledger::JobText(const std::string& name) const {
  return StrCat("name: ", name, "\nsource: {format: jsonl}\nkey: k\npartitions: ", options_.partitions,
                "\nstages:", StageOf(options_.handler), "commit: {interval: 30ms}\n");
}

std::string Ledger::InputText() const {
  std::string text;
  for (const LedgerRecord& record : records_) StrAppend(&text, record.line, "\n");
  return text;
}

}  // namespace millrace::sim
