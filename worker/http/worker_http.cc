#include "worker/http/worker_http.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/strings.h"
#include "common/value/json_text.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {

absl::Status WorkerHttp::Start(const std::string& address) {
  absl::StatusOr<std::unique_ptr<HttpServer>> server =
      HttpServer::Start(address, [this](const HttpRequest& request) { return Answer(request); });
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  return absl::OkStatus();
}

void WorkerHttp::Serve(const WorkerRuntime* runtime) {
  if (runtime == nullptr) return Serve(Source());
  Serve({[runtime] { return runtime->ready(); }, [runtime] { return runtime->Reports(); }});
}

void WorkerHttp::Serve(Source source) {
  absl::MutexLock lock(&mutex_);
  source_ = std::move(source);
}

HttpResponse WorkerHttp::Answer(const HttpRequest& request) {
  if (request.path == "/healthz") return {200, "text/plain", "ok\n"};  // waits for nothing: not even a lock
  return AnswerFromSource(request);
}

HttpResponse WorkerHttp::AnswerFromSource(const HttpRequest& request) {
  absl::ReaderMutexLock lock(&mutex_);
  if (request.path == "/readyz") {
    const bool ready = source_.ready != nullptr && source_.ready();
    return ready ? HttpResponse{200, "text/plain", "ready\n"}
                 : HttpResponse{503, "text/plain", "no lease yet\n"};
  }
  if (request.path == "/metrics") return {200, kMetricsContentType, MetricsText()};
  if (request.path == "/api/v1/partitions") return {200, "application/json", PartitionsJson()};
  return {404, "text/plain", "not here: try /healthz, /readyz, /metrics or /api/v1/partitions\n"};
}

std::string WorkerHttp::MetricsText() {
  absl::MutexLock lock(&series_mutex_);
  std::set<std::string> here;
  if (source_.reports != nullptr) {
    for (const PartitionReport& report : source_.reports()) {
      const std::string name = StrCat(report.uid, "/", report.segment, "/", report.partition);
      here.insert(name);
      const auto [it, made] = series_.try_emplace(name);
      if (made) {
        const MetricLabels labels = PartitionLabels(report.job, report.segment, report.partition);
        Series& s = it->second;
        s.items_in =
            metrics_.MakeCounter("items_in_total", "Records taken from the partition's log.", labels);
        s.items_out = metrics_.MakeCounter("items_out_total", "Records that left the last stage.", labels);
        s.errors = metrics_.MakeCounter(
            "errors_total", "Attempts that failed: tried again, made a dead letter or left out.", labels);
        s.dead_letters =
            metrics_.MakeCounter("dead_letters_total", "Records that could not be handled.", labels);
        s.retries = metrics_.MakeCounter("retries_total", "Attempts beyond a record's first.", labels);
        s.skipped = metrics_.MakeCounter(
            "skipped_total", "Records that on_error: skip, a rate_limit or a window left out.", labels);
        for (const StageCount& count : report.inspected) {
          MetricLabels of_stage = labels;
          of_stage["stage"] = count.stage;
          s.inspected[count.stage] =
              metrics_.MakeCounter("inspected_total", "Records that an inspect stage counted.", of_stage);
        }
        s.offset = metrics_.MakeGauge("offset", "The last message applied.", labels);
        s.committed_offset =
            metrics_.MakeGauge("committed_offset", "The last message whose effect is on disk.", labels);
        s.checkpoint_offset = metrics_.MakeGauge("checkpoint_offset",
                                                 "The last message whose effect is in a checkpoint.", labels);
        s.state_keys = metrics_.MakeGauge("state_keys", "Keys that have state.", labels);
        s.state_bytes = metrics_.MakeGauge("state_bytes", "Bytes of keys and values in the state.", labels);
      }
      Update(it->second, report);
    }
  }
  std::erase_if(series_, [&](const auto& entry) { return !here.contains(entry.first); });
  return metrics_.Text();
}

// After a take-over the numbers begin anew at the commit: a counter never goes back, so what is lower adds
// nothing.
void WorkerHttp::Update(Series& series, const PartitionReport& report) {
  const auto grow = [](Counter& counter, uint64_t before, uint64_t now) {
    if (now > before) counter.Add(static_cast<double>(now - before));
  };
  grow(series.items_in, series.last.records_in, report.records_in);
  grow(series.items_out, series.last.records_out, report.records_out);
  const auto errors = [](const PartitionReport& of) { return of.retries + of.dead_letters + of.skipped; };
  grow(series.errors, errors(series.last), errors(report));
  grow(series.dead_letters, series.last.dead_letters, report.dead_letters);
  grow(series.retries, series.last.retries, report.retries);
  grow(series.skipped, series.last.skipped, report.skipped);
  std::map<std::string, uint64_t> inspected_before;
  for (const StageCount& count : series.last.inspected) inspected_before[count.stage] = count.records;
  for (const StageCount& count : report.inspected) {
    grow(series.inspected[count.stage], inspected_before[count.stage], count.records);
  }
  series.offset.Set(static_cast<double>(report.offset));
  series.committed_offset.Set(static_cast<double>(report.committed_offset));
  series.checkpoint_offset.Set(static_cast<double>(report.checkpoint_offset));
  series.state_keys.Set(static_cast<double>(report.state_keys));
  series.state_bytes.Set(static_cast<double>(report.state_bytes));
  series.last = report;
}

std::string WorkerHttp::PartitionsJson() {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  if (source_.reports != nullptr) {
    for (const PartitionReport& report : source_.reports()) {
      rows.push_back({{"job", report.job},
                      {"segment", report.segment},
                      {"partition", report.partition},
                      {"epoch", report.epoch},
                      {"offset", report.offset},
                      {"committed_offset", report.committed_offset},
                      {"checkpoint_offset", report.checkpoint_offset},
                      {"records_in", report.records_in},
                      {"records_out", report.records_out},
                      {"dead_letters", report.dead_letters},
                      {"skipped", report.skipped},
                      {"state_keys", report.state_keys},
                      {"state_bytes", report.state_bytes},
                      {"state", report.state},
                      {"reason", report.reason}});
    }
  }
  return JsonText(rows);
}

}  // namespace millrace
