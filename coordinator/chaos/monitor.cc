#include "coordinator/chaos/monitor.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/strings.h"
#include "coordinator/chaos/oracle.h"

namespace millrace::chaos {
namespace {

constexpr char kOurHeader[] = "Millrace";
constexpr char kIngest[] = "in";
constexpr std::string_view kLeases = "$KV.mr-workers.w.";
constexpr int kPageRows = 1000;
constexpr absl::Duration kAnswerTimeout = absl::Seconds(2);
// A stream without a leader answers nobody: the next look is soon.
constexpr absl::Duration kLookTimeout = absl::Seconds(1);

uint64_t Natural(const nlohmann::json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number()) return static_cast<uint64_t>(std::llround(value.get<double>()));
  return 0;
}

LedgerKind KindAt(size_t index) { return static_cast<LedgerKind>(index); }

}  // namespace

absl::StatusOr<LedgerEntry> ParseLedgerEntry(const nlohmann::json& value, LedgerKind kind) {
  const auto is_number = [&](const char* field) { return value.contains(field) && value[field].is_number(); };
  if (!value.is_object() || !is_number("count") || !is_number("sum") || !is_number("last") ||
      (HasChain(kind) && !is_number("chain"))) {
    return absl::InvalidArgumentError(StrCat("no ledger's value: ", value.dump()));
  }
  LedgerEntry entry{Natural(value["count"]), Natural(value["sum"]), Natural(value["last"]), {}};
  if (HasChain(kind)) entry.chain = Natural(value["chain"]);
  return entry;
}

Monitor::Monitor(PlainNats& nats, std::vector<std::string> names, uint32_t partitions)
    : nats_(nats),
      names_(std::move(names)),
      partitions_(partitions),
      uids_(kLedgers),
      seen_(kLedgers, std::vector<PartitionSeen>(partitions)),
      owners_(kLedgers, std::vector<std::vector<OwnerSeen>>(partitions)) {}

absl::Status Monitor::Poll() {
  if (absl::Status status = FindJobs(); !status.ok()) return status;
  if (absl::Status status = ReadLeases(); !status.ok()) return status;
  if (absl::Status status = ReadStreams(); !status.ok()) return status;
  if (absl::Status status = ReadLeader(); !status.ok()) return status;
  return ReadAssignment();
}

absl::Status Monitor::FindJobs() {
  for (size_t ledger = 0; ledger < uids_.size(); ++ledger) {
    if (!uids_[ledger].empty()) continue;
    const auto info = nats_.Api(StrCat("STREAM.INFO.mr-", names_[ledger], "-0-0"), nullptr, kLookTimeout);
    if (absl::IsNotFound(info.status())) continue;
    if (!info.ok()) return info.status();
    const std::string description = (*info)["config"].value("description", "");
    uids_[ledger] = std::string(absl::StripPrefix(description, "millrace "));
  }
  return absl::OkStatus();
}

absl::StatusOr<PlainMessage> Monitor::LastOf(const std::string& stream, const std::string& subject) {
  return nats_.Stored(stream, {{"last_by_subj", subject}}, kLookTimeout);
}

absl::StatusOr<PlainMessage> Monitor::GreatestOf(const std::string& kind) {
  const std::string prefix = StrCat("$KV.mr-assignments.", kind, ".");
  const auto info =
      nats_.Api("STREAM.INFO.KV_mr-assignments", {{"subjects_filter", prefix + ">"}}, kLookTimeout);
  if (!info.ok()) return info.status();
  std::string greatest;
  PlainMark most{0, 0};
  const auto subjects = (*info)["state"].value("subjects", nlohmann::json::object());
  for (const auto& entry : subjects.items()) {
    const std::vector<std::string> numbers = absl::StrSplit(entry.key().substr(prefix.size()), '.');
    PlainMark own{0, 0};
    if (!absl::SimpleAtoi(numbers[0], &own.first)) continue;
    if (numbers.size() > 1 && !absl::SimpleAtoi(numbers[1], &own.second)) continue;
    if (own <= most) continue;
    most = own;
    greatest = entry.key();
  }
  if (greatest.empty()) return absl::NotFoundError("no " + kind);
  return LastOf("KV_mr-assignments", greatest);
}

absl::Status Monitor::ReadLeases() {
  const auto info =
      nats_.Api("STREAM.INFO.KV_mr-workers", {{"subjects_filter", StrCat(kLeases, ">")}}, kLookTimeout);
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  if (!info.ok()) return info.status();
  const auto subjects = (*info)["state"].value("subjects", nlohmann::json::object());
  for (const auto& entry : subjects.items()) {
    const std::string& subject = entry.key();
    const std::string name = subject.substr(kLeases.size());
    const auto message = LastOf("KV_mr-workers", subject);
    if (absl::IsNotFound(message.status())) continue;
    if (!message.ok()) return message.status();
    if (lease_revisions_[name] == message->sequence) continue;
    lease_revisions_[name] = message->sequence;
    const auto lease = nlohmann::json::parse(message->payload, nullptr, false);
    if (!lease.is_object() || !lease.contains("partitions")) continue;
    for (auto& ledger : seen_) {
      for (PartitionSeen& seen : ledger) {
        if (seen.owner == name) seen.owner.clear();
      }
    }
    for (const auto& report : lease["partitions"]) TakeReport(lease, report);
  }
  return absl::OkStatus();
}

void Monitor::TakeReport(const nlohmann::json& lease, const nlohmann::json& report) {
  const std::string uid = report.value("uid", "?");
  const auto segment = report.value("segment", uint32_t{0});
  const auto partition = report.value("partition", partitions_);
  size_t index = 0;
  while (index < uids_.size() && (uids_[index] != uid || SegmentOf(KindAt(index)) != segment)) ++index;
  if (index == uids_.size() || partition >= partitions_) return;
  const uint64_t epoch = report.value("epoch", uint64_t{0});
  OwnerSeen owner{lease.value("name", ""),
                  lease.value("incarnation", ""),
                  lease.value("pid", int64_t{0}),
                  epoch,
                  report.value("offset", uint64_t{0}),
                  report.value("committed_offset", uint64_t{0}),
                  0};
  PartitionSeen& seen = seen_[index][partition];
  if (report.value("state", "") == "stopped") {  // it was not opened: of no epoch
    seen.state = "stopped";
    seen.reason = report.value("reason", "");
    return;
  }
  if (lease.value("state", "") == "ready" && epoch >= seen.owner_epoch) {
    seen.owner = owner.worker;
    seen.incarnation = owner.incarnation;
    seen.owner_epoch = epoch;
    if (KindAt(index) == LedgerKind::kFront) seen.result_epoch = epoch;
    seen.state = report.value("state", "");
    seen.reason = report.value("reason", "");
  }
  owners_[index][partition].push_back(std::move(owner));
}

// The results first: what was fed and is not out is then never told too small.
absl::Status Monitor::ReadStreams() {
  for (const auto read : {&Monitor::ReadResults, &Monitor::ReadInput}) {
    // Of the job of two segments, what goes into the first and comes out of the second.
    const auto skipped = read == &Monitor::ReadInput ? LedgerKind::kBack : LedgerKind::kFront;
    for (size_t ledger = 0; ledger < uids_.size(); ++ledger) {
      if (KindAt(ledger) == skipped) continue;
      for (uint32_t p = 0; p < partitions_ && !uids_[ledger].empty(); ++p) {
        // Before it has an owner its streams may be in the making: asked for a message then, 2.9.10 dies.
        if (seen_[ledger][p].owner_epoch == 0) continue;
        absl::Status status = (this->*read)(ledger, p);
        if (!status.ok() && !absl::IsNotFound(status)) return status;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Monitor::ReadInput(size_t ledger, uint32_t partition) {
  const auto last = LastOf(StrCat("mr-", names_[ledger], "-0-", partition),
                           StrCat("mr.", names_[ledger], ".0.", partition));
  if (!last.ok()) return last.status();
  const auto header = ParsePlainHeader(last->Header(kOurHeader));
  if (!header.ok() || header->writer != kIngest) return absl::OkStatus();  // a tick: the next look sees more
  PartitionSeen& seen = seen_[ledger][partition];
  seen.records_in = std::max(seen.records_in, header->records);
  return absl::OkStatus();
}

absl::Status Monitor::ReadResults(size_t ledger, uint32_t partition) {
  const auto last = LastOf(StrCat("mr-", names_[ledger], "-out-", partition),
                           StrCat("mr.", names_[ledger], ".out.", partition));
  if (!last.ok()) return last.status();
  PartitionSeen& seen = seen_[ledger][partition];
  if (const auto header = ParsePlainHeader(last->Header(kOurHeader)); header.ok()) {
    seen.records_out = std::max(seen.records_out, header->records);
    seen.result_epoch = std::max(seen.result_epoch, header->epoch);
  }
  // Leases were read before: by now the stream holds at least what they call committed.
  auto& owners = owners_[ledger][partition];
  for (auto owner = owners.rbegin(); owner != owners.rend() && owner->result_sequence == 0; ++owner) {
    owner->result_sequence = last->sequence;
  }
  return absl::OkStatus();
}

absl::Status Monitor::ReadLeader() {
  const auto term = GreatestOf("term");
  if (absl::IsNotFound(term.status())) return absl::OkStatus();
  if (!term.ok()) return term.status();
  const auto document = nlohmann::json::parse(term->payload, nullptr, false);
  if (!document.is_object()) return absl::OkStatus();
  term_ = std::max(term_, document.value("term", uint64_t{0}));
  const auto lease = LastOf("KV_mr-workers", "$KV.mr-workers.c." + document.value("leader", ""));
  if (!lease.ok()) return absl::IsNotFound(lease.status()) ? absl::OkStatus() : lease.status();
  const auto coordinator = nlohmann::json::parse(lease->payload, nullptr, false);
  if (coordinator.is_object()) leader_pid_ = coordinator.value("pid", 0);
  return absl::OkStatus();
}

absl::Status Monitor::ReadAssignment() {
  const auto message = GreatestOf("assign");
  if (!message.ok()) return absl::IsNotFound(message.status()) ? absl::OkStatus() : message.status();
  const auto document = nlohmann::json::parse(message->payload, nullptr, false);
  if (!document.is_object() || !document.contains("jobs")) return absl::OkStatus();
  assigned_.clear();
  for (const auto& job : document["jobs"]) {
    const std::string uid = job.value("uid", "?");
    if (std::find(uids_.begin(), uids_.end(), uid) == uids_.end()) continue;
    for (const auto& owner : job.value("owners", nlohmann::json::array()))
      ++assigned_[owner.get<std::string>()];
  }
  return absl::OkStatus();
}

bool Monitor::AllRun() const {
  for (const auto& ledger : seen_) {
    for (const PartitionSeen& seen : ledger) {
      if (seen.owner.empty() || seen.state != "running") return false;
    }
  }
  return true;
}

uint64_t Monitor::InFlight() const {
  uint64_t waiting = 0, crossing_in = 0, crossing_out = 0;
  for (size_t ledger = 0; ledger < seen_.size(); ++ledger) {
    for (const PartitionSeen& seen : seen_[ledger]) {
      if (ledger < kOneSegmentJobs) {
        waiting += seen.records_in - std::min(seen.records_in, seen.records_out);
      } else {
        crossing_in += seen.records_in;
        crossing_out += seen.records_out;
      }
    }
  }
  return waiting + crossing_in - std::min(crossing_in, crossing_out);
}

uint64_t Monitor::RecordsOut() const {
  uint64_t records = 0;
  for (const auto& ledger : seen_) {
    for (const PartitionSeen& seen : ledger) records += seen.records_out;
  }
  return records;
}

std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>> Monitor::OwnedBy(const std::string& worker) const {
  std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>> owned;
  for (int ledger = 0; ledger < kLedgers; ++ledger) {
    for (uint32_t p = 0; p < partitions_; ++p) {
      const PartitionSeen& seen = Seen(static_cast<LedgerKind>(ledger), p);
      if (seen.owner == worker) owned.emplace_back(static_cast<LedgerKind>(ledger), p, seen.owner_epoch);
    }
  }
  return owned;
}

uint64_t Monitor::Assigned(const std::string& worker) const {
  const auto found = assigned_.find(worker);
  return found == assigned_.end() ? 0 : found->second;
}

int Monitor::TakenOver(const std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>>& owned) const {
  return static_cast<int>(std::count_if(owned.begin(), owned.end(), [&](const auto& own) {
    return Seen(std::get<0>(own), std::get<1>(own)).result_epoch > std::get<2>(own);
  }));
}

absl::StatusOr<std::string> Monitor::End(LedgerKind ledger) {
  const auto message = LastOf("KV_mr-assignments", "$KV.mr-assignments.final." + uid(ledger));
  if (absl::IsNotFound(message.status())) return std::string();
  if (!message.ok()) return message.status();
  const auto document = nlohmann::json::parse(message->payload, nullptr, false);
  if (!document.is_object()) return std::string();
  const std::string reason = document.value("reason", "");
  return document.value("state", "") + (reason.empty() ? "" : ": " + reason);
}

absl::StatusOr<uint64_t> Monitor::DeadLetters(LedgerKind ledger) {
  const auto info = nats_.Api(StrCat("STREAM.INFO.mr-", name(ledger), "-dead"));
  if (absl::IsNotFound(info.status())) return uint64_t{0};
  if (!info.ok()) return info.status();
  return (*info)["state"].value("messages", uint64_t{0});
}

absl::StatusOr<StateSeen> Monitor::AskState(LedgerKind ledger, uint32_t partition) {
  const PartitionSeen& seen = Seen(ledger, partition);
  if (seen.incarnation.empty()) return absl::UnavailableError("nobody owns it");
  StateSeen state;
  nlohmann::json question = {{"verb", "scan"},        {"job", name(ledger)}, {"uid", uid(ledger)},
                             {"prefix", ""},          {"limit", kPageRows},  {"segment", SegmentOf(ledger)},
                             {"partition", partition}};
  for (bool more = true; more;) {
    const auto text = nats_.Request("mr.rpc." + seen.incarnation, question.dump(), kAnswerTimeout);
    if (!text.ok()) return text.status();
    const auto answer = nlohmann::json::parse(*text, nullptr, false);
    if (!answer.is_object() || !answer.value("ok", false)) {
      return absl::UnavailableError(answer.is_object() ? answer.value("error", "refused") : "no JSON");
    }
    const uint64_t offset = answer.value("offset", uint64_t{0});
    if (!state.rows.empty() && offset != state.offset) return absl::AbortedError("it moved on");
    state.offset = offset;
    for (const auto& row : answer["rows"]) {
      auto entry = ParseLedgerEntry(row["value"], ledger);
      if (!entry.ok()) return entry.status();
      state.rows.emplace_back(row.value("key", ""), *entry);
    }
    more = answer.contains("next");
    if (more) question["cursor"] = answer["next"];
  }
  return state;
}

}  // namespace millrace::chaos
