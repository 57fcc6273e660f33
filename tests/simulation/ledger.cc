#include "tests/simulation/ledger.h"

#include <cstring>
#include <random>
#include <set>
#include <string_view>

#include "absl/strings/str_replace.h"
#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace::sim {
namespace {

constexpr int64_t kChainFactor = 31;
constexpr int64_t kChainModulus = 1'000'003;

constexpr int64_t kFirstTimeMs = 1'000'000'000'000;  // of the first record; each has one more

constexpr char kBonusText[] = "r.seq + ";

// `$` is the field with the number to sum up, `%` what goes on beside the sums.
constexpr char kLuaStage[] = R"(
  - keyed:
      lua: |
        state.count = (state.count or 0) + 1
        state.sum = (state.sum or 0) + r.$
        state.chain = ((state.chain or 0) * 31 + r.$) % 1000003
        emit({count = state.count, sum = state.sum, chain = state.chain, last = r.$%})
    on_error: retry
    retry: {attempts: 10, backoff: 10ms..100ms}
)";
constexpr char kNativeStage[] = R"(
  - aggregate: {count: count(), sum: sum($), last: last($)%}
)";
constexpr char kFinalStage[] = R"(
  - aggregate: {count: count(), sum: sum($), last: last($)%}
    emit: final
)";

// Both of a pair have the record's label.
constexpr char kBranchedStages[] = R"(
  - flat_map: '{ r, r }'
  - partition:
      - when: r.$ % 2 == 0
        stages:
          - dedupe: {by: label, within: 1s}
          - broadcast:
              - stages: []
              - stages: [{aggregate: {seen: count()}, emit: final}, {filter: 'false'}]
      - stages:
          - rate_limit: {rate: 400/s, burst: 5, per: stage}
          - dedupe: {by: label}
  - aggregate: {count: count(), sum: sum($), last: last($)%}
)";

// Nothing is late and no window is closed twice or never, or else the two come to different sums. The second is what
// `state` shows.
constexpr char kWindowedStages[] = R"(
  - broadcast:
      - stages:
          - window: {tumbling: 16ms, aggregate: {count: count(), sum: sum($)%}}
          - aggregate: {count: sum(count), sum: sum(sum)%}
            emit: final
      - stages:
          - aggregate: {count: count(), sum: sum($)%}
            emit: final
)";

std::string StageOf(const LedgerOptions& options, std::string_view number, std::string_view beside) {
  const Handler handler = options.handler;
  const char* const text = handler == Handler::kNative     ? kNativeStage
                           : handler == Handler::kLua      ? kLuaStage
                           : handler == Handler::kBranched ? kBranchedStages
                           : handler == Handler::kWindowed ? kWindowedStages
                                                           : kFinalStage;
  std::string stages = absl::StrReplaceAll(text, {{"%}", StrCat(beside, "}")}, {"$", std::string(number)}});
  if (options.concurrency > 0) StrAppend(&stages, "    concurrency: ", options.concurrency, "\n");
  return stages;
}

std::string FilledUp(std::string key, size_t bytes) {
  if (key.size() < bytes) key.resize(bytes, '.');
  return key;
}

std::string GroupField(const std::string& group) {
  return group.empty() ? "" : StrCat(R"(,"g":")", group, R"(")");
}

}  // namespace

void Account::Take(int64_t number) {
  ++count;
  sum += number;
  chain = (chain * kChainFactor + number) % kChainModulus;
  last = number;
}

// Lua's tables come in the order of their keys, aggregates as they are written.
std::string Account::OutputJson(Handler handler) const {
  if (handler == Handler::kLua) {
    return StrCat(R"({"chain":)", chain, R"(,"count":)", count, GroupField(group), R"(,"last":)", last,
                  R"(,"sum":)", sum, "}");
  }
  return StateJson(handler);
}

std::string Account::StateJson(Handler handler) const {
  if (handler == Handler::kLua)
    return StrCat(R"({"chain":)", chain, R"(,"count":)", count, R"(,"sum":)", sum, "}");
  const std::string last_field = handler == Handler::kWindowed ? "" : StrCat(R"(,"last":)", last);
  return StrCat(R"({"count":)", count, R"(,"sum":)", sum, last_field, GroupField(group), "}");
}

Ledger::Ledger(const LedgerOptions& options, uint64_t seed)
    : options_(options), by_partition_(options.partitions) {
  std::mt19937_64 random(seed);
  std::map<std::string, int64_t> counts;
  for (uint32_t i = 0; i < options.records; ++i) {
    LedgerRecord record;
    record.key = FilledUp(StrCat("key-", random() % options.keys), options.key_bytes);
    record.number = ++counts[record.key];
    if (options.segments() == 2)
      record.group = FilledUp(StrCat("group-", random() % options.groups), options.key_bytes);
    record.line = StrCat(R"({"k":")", record.key, R"(","seq":)", record.number, GroupField(record.group),
                         has_times() ? StrCat(R"(,"t":)", kFirstTimeMs + i) : "", "}");
    by_partition_[PartitionOf(record.key, options.partitions).value()].push_back(record);
    records_.push_back(std::move(record));
  }
}

int64_t Ledger::BonusOf(const std::string& job_text) {
  const size_t at = job_text.find(kBonusText);
  return at == std::string::npos ? 0 : std::stoll(job_text.substr(at + std::strlen(kBonusText)));
}

std::string Ledger::JobText(const std::string& name, int64_t bonus) const {
  const bool goes_on = options_.segments() == 2;
  const bool is_lua = options_.handler == Handler::kLua;
  std::string stages = StageOf(options_, "seq", !goes_on ? "" : is_lua ? ", g = r.g" : ", g: last(g)");
  if (goes_on) {
    StrAppend(&stages, "  - key_by: g\n    partitions: ", options_.group_partitions,
              StageOf(options_, "sum", ""));
  }
  const std::string map =
      bonus == 0 ? "" : StrCat("\n  - map: {seq: '", kBonusText, bonus, "'", goes_on ? ", g: r.g" : "", "}");
  return StrCat("name: ", name, "\nsource: {format: jsonl}\nkey: k\npartitions: ", options_.partitions,
                has_times() ? "\ntime: {field: t}" : "", "\nstages:", map, stages,
                "commit: {interval: 30ms}\n");
}

std::string Ledger::InputText() const {
  std::string text;
  for (const LedgerRecord& record : records_) StrAppend(&text, record.line, "\n");
  return text;
}

uint64_t Ledger::outputs() const {
  const auto final_results = static_cast<uint64_t>(FinalResults(options_.handler));
  if (final_results == 0) return records_.size();
  std::map<std::string, std::string> last_groups;
  for (const LedgerRecord& record : records_) last_groups[record.key] = record.group;
  if (options_.segments() == 1) return final_results * last_groups.size();
  std::set<std::string> groups;
  for (const auto& [key, group] : last_groups) groups.insert(group);
  return final_results * groups.size();
}

}  // namespace millrace::sim
