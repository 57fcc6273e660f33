#include "coordinator/service/api.h"

#include <vector>

#include "absl/strings/str_split.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "coordinator/service/front_page.h"
#include "coordinator/views/views.h"

namespace millrace {
namespace {

HttpResponse Error(int status, std::string_view message) {
  return {status, "application/json", JsonText(ViewJson{{"error", message}}) + "\n"};
}

HttpResponse JsonResponse(const ViewJson& json) { return {200, "application/json", JsonText(json) + "\n"}; }

constexpr const char* kPages[] = {"/api/v1/jobs", "/api/v1/jobs/NAME", "/api/v1/jobs/NAME/partitions",
                                  "/api/v1/workers"};

HttpResponse FromStatus(const absl::Status& status) {
  const bool absent = absl::IsNotFound(status);
  return Error(absent ? 404 : 503, ToStd(status.message()));
}

}  // namespace

struct Api::Page {
  enum class Kind { kFront, kIndex, kJobs, kWorkers, kStatus, kPartitions } kind = Kind::kFront;
  std::string job;  // kStatus, kPartitions
};

// A job is named in the path, or, as the command line does, by the command and `?job=`.
std::optional<Api::Page> Api::PageOf(const HttpRequest& request) {
  using Kind = Page::Kind;
  const std::vector<std::string> steps = absl::StrSplit(request.path, '/', absl::SkipEmpty());
  if (steps.empty()) return Page{Kind::kFront, ""};
  if (steps.size() < 2 || steps[0] != "api" || steps[1] != "v1") return std::nullopt;
  if (steps.size() == 2) return Page{Kind::kIndex, ""};
  if (steps[2] == "jobs" && steps.size() == 4) return Page{Kind::kStatus, steps[3]};
  if (steps[2] == "jobs" && steps.size() == 5 && steps[4] == "partitions")
    return Page{Kind::kPartitions, steps[3]};
  if (steps.size() > 3) return std::nullopt;
  if (steps[2] == "jobs") return Page{Kind::kJobs, ""};
  if (steps[2] == "workers") return Page{Kind::kWorkers, ""};
  if (steps[2] != "status" && steps[2] != "partitions") return std::nullopt;
  const auto name = request.query.find("job");
  return Page{steps[2] == "status" ? Kind::kStatus : Kind::kPartitions,
              name == request.query.end() ? "" : name->second};
}

HttpResponse Api::Answer(const HttpRequest& request) const {
  if (request.path == "/healthz") return {200, "text/plain", "ok\n"};
  if (request.path == "/metrics") return {200, kMetricsContentType, metrics_.Text()};
  if (request.path == "/readyz") {
    if (board_.Look().knows_leader) return {200, "text/plain", "ready\n"};
    return {503, "text/plain", "no coordinator leads that this one can see\n"};
  }
  return AnswerForCluster(request);
}

HttpResponse Api::AnswerForCluster(const HttpRequest& request) const {
  const std::optional<Page> page = PageOf(request);
  if (!page.has_value()) return Error(404, "no such page — try /api/v1");
  if (page->kind == Page::Kind::kIndex) return JsonResponse({{"pages", kPages}});
  const Board::State state = board_.Look();
  if (state.snapshot == nullptr || state.bus == nullptr) return Error(503, "not connected to NATS yet");
  const Cluster cluster =
      DecodeCluster(state.snapshot->jobs, state.snapshot->workers, state.snapshot->assignments);
  switch (page->kind) {
    case Page::Kind::kFront:
      return {200, "text/html; charset=utf-8", FrontPage(cluster)};
    case Page::Kind::kJobs:
      return JsonResponse(JobsView(cluster));
    case Page::Kind::kWorkers:
      return JsonResponse(WorkersView(cluster));
    default:
      return AnswerForJob(*page, cluster, *state.bus);
  }
}

HttpResponse Api::AnswerForJob(const Page& page, const Cluster& cluster, Bus& bus) const {
  if (page.job.empty()) return Error(400, "which job? — try /api/v1/jobs/NAME");
  const auto job = RequireJob(cluster, page.job);
  if (!job.ok()) return FromStatus(job.status());
  const auto logs = ReadPartitionLogs(bus, cluster, *job);
  if (!logs.ok()) return FromStatus(logs.status());
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  return JsonResponse(page.kind == Page::Kind::kStatus ? StatusView(cluster, *job, *logs, now_ms)
                                                       : PartitionsView(cluster, *job, *logs, now_ms));
}

}  // namespace millrace
