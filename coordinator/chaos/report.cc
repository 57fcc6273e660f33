#include "coordinator/chaos/report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_format.h"
#include "common/strings.h"

namespace millrace::chaos {
namespace {

using Json = nlohmann::ordered_json;

std::string Seconds(absl::Duration duration) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}

// The name that a fault is counted by.
std::string CountedAs(const PlannedFault& fault) {
  return fault.point.empty() ? std::string(KindName(fault.kind))
                             : StrCat(KindName(fault.kind), " at ", fault.point);
}

std::string List(const std::map<std::string, int>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) StrAppend(&text, text.empty() ? "" : ", ", name, " ", count);
  return text.empty() ? "none" : text;
}

Json ToJson(const RuleResult& rule) {
  Json json = {{"number", rule.number},   {"rule", rule.rule}, {"kept", rule.kept()},
               {"checked", rule.checked}, {"unit", rule.unit}, {"violations", rule.violations}};
  json["first"] = rule.first;
  return json;
}

Json ToJson(const FaultOutcome& outcome) {
  Json json = {{"number", outcome.plan.number},
               {"at_ms", absl::ToInt64Milliseconds(outcome.began)},
               {"kind", std::string(KindName(outcome.plan.kind))},
               {"fault", Describe(outcome.plan)},
               {"effect", nullptr},
               {"in_flight", outcome.in_flight},
               {"recovered_ms", nullptr}};
  if (outcome.effect.empty()) {
    json["note"] = outcome.note;
  } else {
    json["effect"] = outcome.effect;
  }
  if (outcome.recovered.has_value()) json["recovered_ms"] = absl::ToInt64Milliseconds(*outcome.recovered);
  return json;
}

Json ToJson(const Coverage& cover) {
  Json json = {{"records", cover.records},
               {"keys", cover.keys},
               {"partitions", cover.partitions},
               {"labels", cover.labels},
               {"result_messages", cover.result_messages},
               {"epochs", cover.epochs},
               {"stale_messages", cover.stale_messages},
               {"dead_letters", cover.dead_letters},
               {"states", cover.states}};
  json["kills"] = cover.kills;
  json["with_effect"] = cover.with_effect;
  json["without_effect"] = cover.without_effect;
  for (const auto& [name, share] : {std::pair("p50", 0.5), std::pair("p99", 0.99), std::pair("max", 1.0)}) {
    json["recovery_ms"][name] = absl::ToInt64Milliseconds(Percentile(cover.recoveries, share));
  }
  return json;
}

bool IsWorkerKill(const PlannedFault& fault) {
  return fault.kind == FaultKind::kKill || fault.kind == FaultKind::kKillAll;
}

void CoverStreams(const LedgerHistory& ledger, Coverage* cover) {
  std::set<std::string> keys;
  for (const LedgerRecord& record : ledger.input) keys.insert(record.key);
  cover->keys = std::max<uint64_t>(cover->keys, keys.size());
  if (SegmentOf(ledger.kind) == 0) cover->records += ledger.input.size();
  cover->partitions += ledger.partitions.size();
  cover->dead_letters += ledger.dead_letters.size();
  for (const PartitionHistory& partition : ledger.partitions) {
    cover->labels += partition.outputs.size();
    cover->states += partition.states.size();
    cover->result_messages += partition.messages.size();
    for (const ResultMessage& message : partition.messages) {
      cover->epochs += message.kind == 'e' ? 1 : 0;
      cover->stale_messages += message.taken == Taken::kStale ? 1 : 0;
    }
  }
}

}  // namespace

Coverage Cover(const History& history) {
  Coverage cover;
  for (const LedgerHistory& ledger : history.ledgers) CoverStreams(ledger, &cover);
  for (const FaultOutcome& fault : history.faults) {
    if (fault.effect.empty()) {
      ++cover.without_effect[CountedAs(fault.plan)];
      continue;
    }
    ++cover.with_effect[CountedAs(fault.plan)];
    if (IsWorkerKill(fault.plan)) ++cover.kills[fault.plan.point.empty() ? "at any time" : fault.plan.point];
    if (fault.recovered.has_value()) cover.recoveries.push_back(*fault.recovered);
  }
  std::sort(cover.recoveries.begin(), cover.recoveries.end());
  return cover;
}

absl::Duration Percentile(const std::vector<absl::Duration>& rising, double share) {
  if (rising.empty()) return absl::ZeroDuration();
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(rising.size())));
  return rising[std::min(rising.size(), std::max<size_t>(rank, 1)) - 1];
}

std::string TimelineLine(const FaultOutcome& outcome) {
  std::string line = absl::StrFormat("%8s  #%-3d %s — ", Seconds(outcome.began), outcome.plan.number,
                                     Describe(outcome.plan));
  if (outcome.effect.empty()) return StrCat(line, "no effect, not counted: ", outcome.note, "\n");
  StrAppend(&line, outcome.effect, "; ", outcome.in_flight, " records in flight");
  if (EndsInLoudStop(outcome.plan.kind)) return line + "\n";
  if (outcome.recovered.has_value())
    return StrCat(line, ", all out after ", Seconds(*outcome.recovered), "\n");
  return line + ", and they never came out\n";
}

std::string ToText(const RunReport& run, const History& history, const Verdict& verdict) {
  const Coverage cover = Cover(history);
  std::string text =
      StrCat("\nVERDICT: ", verdict.good() ? "good" : "BROKEN", " — scenario ", run.scenario, ", seed ",
             run.seed, run.defect.empty() ? "" : StrCat(", with the defect ", run.defect), "\n");
  for (const RuleResult& rule : verdict.rules) {
    absl::StrAppendFormat(&text, "  %2d %-6s %-58s %d %s\n", rule.number, rule.kept() ? "kept" : "BROKEN",
                          rule.rule, rule.checked, rule.unit);
    for (const std::string& violation : rule.first) StrAppend(&text, "            ", violation, "\n");
    if (rule.violations > rule.first.size()) {
      StrAppend(&text, "            … ", rule.violations - rule.first.size(), " more\n");
    }
  }
  StrAppend(&text, "Covered: ", cover.records, " records of ", cover.keys, " keys in ", cover.partitions,
            " partitions; ", cover.labels, " labels in ", cover.result_messages, " result messages; ",
            cover.epochs, " times a partition got an owner; ", cover.stale_messages,
            " late messages dropped; ", cover.states, " states compared; ", cover.dead_letters,
            " dead letters\n");
  StrAppend(&text, "Kills of workers: ", List(cover.kills), "\nFaults with effect: ", List(cover.with_effect),
            "\nFaults without, not counted: ", List(cover.without_effect), "\n");
  StrAppend(&text, "Until what waited was out: median ", Seconds(Percentile(cover.recoveries, 0.5)), ", p99 ",
            Seconds(Percentile(cover.recoveries, 0.99)), ", at most ",
            Seconds(Percentile(cover.recoveries, 1)), " (bound ", Seconds(history.recovery_bound), ")\n");
  if (!run.folder.empty()) StrAppend(&text, "Kept: ", run.folder, "\n");
  return text;
}

nlohmann::ordered_json ToJson(const RunReport& run, const History& history, const Verdict& verdict) {
  Json json = {
      {"scenario", run.scenario}, {"seed", run.seed}, {"verdict", verdict.good() ? "good" : "broken"}};
  if (!run.defect.empty()) json["defect"] = run.defect;
  json["rules"] = Json::array();
  for (const RuleResult& rule : verdict.rules) json["rules"].push_back(ToJson(rule));
  json["covered"] = ToJson(Cover(history));
  json["recovery_bound_ms"] = absl::ToInt64Milliseconds(history.recovery_bound);
  json["timeline"] = Json::array();
  for (const FaultOutcome& outcome : history.faults) json["timeline"].push_back(ToJson(outcome));
  json["folder"] = run.folder.empty() ? Json(nullptr) : Json(run.folder);
  return json;
}

}  // namespace millrace::chaos
