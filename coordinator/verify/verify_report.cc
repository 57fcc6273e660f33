#include "coordinator/verify/verify_report.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "common/strings.h"

namespace millrace {
namespace {

double Percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 100.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string Share(uint64_t part, uint64_t whole) {
  return absl::StrFormat(" (%.1f %%)", std::floor(10 * Percent(part, whole)) / 10);
}

}  // namespace

nlohmann::ordered_json ToJson(const VerifyReport& report, const std::string& job) {
  nlohmann::ordered_json json;
  json["job"] = job;
  json["ok"] = report.differences.count() == 0;
  json["partitions"] = report.partitions;
  json["messages"] = report.messages;
  json["messages_in_log"] = report.messages_in_log;
  json["percent"] = Percent(report.messages, report.messages_in_log);
  json["from_checkpoints"] = report.from_checkpoints;
  json["records"] = report.records;
  json["results"] = report.results;
  json["results_before"] = report.results_before;
  json["results_percent"] = Percent(report.results, report.results + report.results_before);
  json["results_on_the_way"] = report.results_on_the_way;
  json["crossed"] = report.crossed;
  json["dead_letters"] = report.dead_letters;
  json["keys"] = report.keys;
  json["bytes"] = report.bytes;
  json["dropped_messages"] = report.dropped_messages;
  json["epochs"] = report.epochs;
  json["states_compared"] = report.states_compared;
  json["difference_count"] = report.differences.count();
  json["differences"] = report.differences.kept();
  json["notes"] = report.notes;
  return json;
}

std::string ToText(const VerifyReport& report) {
  std::string text = StrCat(
      "partitions    ", report.partitions, "\nmessages      ", report.messages, " of ",
      report.messages_in_log, " replayed", Share(report.messages, report.messages_in_log), "\nrecords       ",
      report.records, "\nresults       ", report.results, " of ", report.results + report.results_before,
      " compared", Share(report.results, report.results + report.results_before), ", ",
      report.results_on_the_way, " on the way\ncrossed       ", report.crossed,
      " outputs from segment to segment compared\ndead letters  ", report.dead_letters, "\nkeys          ",
      report.keys, "\nbytes         ", report.bytes, "\ndropped       ", report.dropped_messages,
      " messages (sent twice, or by an owner of the past)", "\nepochs        ", report.epochs,
      "\nstates        ", report.states_compared, " compared with the owners'\ndifferences   ",
      report.differences.count(), "\n");
  for (const std::string& difference : report.differences.kept()) StrAppend(&text, "  ", difference, "\n");
  for (const std::string& note : report.notes) StrAppend(&text, "note: ", note, "\n");
  return text;
}

}  // namespace millrace
