#include "coordinator/chaos/ledger.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>

#include "common/strings.h"
#include "common/units.h"
#include "coordinator/chaos/plain_reader.h"

namespace millrace::chaos {
namespace {

constexpr std::string_view kLuaStages = R"(
  - name: ledger
    keyed:
      lua: |
        -- release 1
        if r.loop then while true do end end
        state.count = (state.count or 0) + 1
        state.sum = (state.sum or 0) + r.seq
        state.chain = ((state.chain or 0) * 31 + r.seq) % 1000003
        state.last = r.seq
        emit({count = state.count, sum = state.sum, chain = state.chain, last = state.last})
    timeout: 1s
    retry: { attempts: 2, backoff: 10ms }
)";
constexpr std::string_view kNativeStages = R"(
  - aggregate: { count: count(), sum: sum(seq), last: last(seq) }
)";
constexpr std::string_view kCrossingStages = R"(
  - aggregate: { count: count(), sum: sum(seq), last: last(seq), from: last(k), group: last(g) }
  - key_by: group
  - name: groups
    keyed:
      lua: |
        -- release 1
        state.count = (state.count or 0) + 1
        state.sum = (state.sum or 0) + r.last
        state.chain = ((state.chain or 0) * 31 + r.last) % 1000003
        state.last = r.last
        emit({count = state.count, sum = state.sum, chain = state.chain, last = state.last})
)";
constexpr std::string_view kRelease = "-- release ";
constexpr uint32_t kGroups = 64;

std::string_view StagesOf(LedgerKind kind) {
  if (kind == LedgerKind::kLua) return kLuaStages;
  return kind == LedgerKind::kNative ? kNativeStages : kCrossingStages;
}

}  // namespace

std::vector<LedgerRecord> MakeInput(const LoadSpec& load, uint64_t seed,
                                    const std::vector<int64_t>& overruns) {
  std::mt19937_64 engine(seed ^ 0x6c6564676572u);
  const auto keys = static_cast<uint64_t>(load.keys);
  const auto hot = static_cast<uint64_t>(load.hot * 1e6);
  std::vector<uint64_t> counts(keys);
  std::vector<LedgerRecord> input;
  const int64_t records = load.records();
  input.reserve(static_cast<size_t>(records) + overruns.size());
  size_t next = 0;
  for (int64_t i = 0; i < records; ++i) {
    const uint64_t key = engine() % 1'000'000 < hot ? 0 : engine() % keys;
    for (; next < overruns.size() && overruns[next] <= i; ++next) {
      input.push_back({StrCat("key-", key), 0});
    }
    input.push_back({StrCat("key-", key), ++counts[key]});
  }
  return input;
}

std::vector<int64_t> OverrunsOf(const LoadSpec& load, const std::vector<PlannedFault>& plan) {
  std::vector<int64_t> positions;
  for (const PlannedFault& fault : plan) {
    if (fault.kind != FaultKind::kOverrun) continue;
    const double at = static_cast<double>(load.rate) * absl::ToDoubleSeconds(fault.at);
    positions.push_back(std::clamp<int64_t>(static_cast<int64_t>(at), 0, load.records() - 1));
  }
  return positions;
}

std::string GroupOf(const std::string& key) { return StrCat("group-", PlainPartition(key, kGroups)); }

std::string InputLine(const LedgerRecord& record) {
  return StrCat("{\"k\":\"", record.key, "\",\"g\":\"", GroupOf(record.key), "\",\"seq\":", record.seq,
                record.seq == 0 ? ",\"loop\":true" : "", "}\n");
}

std::string JobText(LedgerKind kind, const std::string& name, const LoadSpec& load) {
  return StrCat("name: ", name, "\nsource: { format: jsonl }\nkey: k\npartitions: ", load.partitions,
                "\nstages:", StagesOf(kind), "commit: { interval: ", millrace::FormatDuration(load.commit),
                " }\n");
}

std::string WithNextCode(const std::string& job_text) {
  const size_t number = job_text.find(kRelease) + kRelease.size();
  const size_t end = job_text.find('\n', number);
  const int next = std::stoi(job_text.substr(number, end - number)) + 1;
  return StrCat(job_text.substr(0, number), next, job_text.substr(end));
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (file) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("cannot write ", path, " — is the disk full? — try --data DIR"));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file) return text;
  return absl::InvalidArgumentError(StrCat(path, ": cannot be read — is the path right?"));
}

}  // namespace millrace::chaos
