#include "coordinator/service/api.h"

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

HttpResponse FromStatus(const absl::Status& status) {
  const bool absent = absl::IsNotFound(status);
  return Error(absent ? 404 : 503, ToStd(status.message()));
}

}  // namespace

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
  const bool of_job = request.path == "/api/v1/partitions" || request.path == "/api/v1/status";
  if (!of_job && request.path != "/" && request.path != "/api/v1/jobs" && request.path != "/api/v1/workers") {
    return Error(404, "no such page — try /api/v1/jobs");
  }
  const Board::State state = board_.Look();
  if (state.snapshot == nullptr || state.bus == nullptr) return Error(503, "not connected to NATS yet");
  const Cluster cluster =
      DecodeCluster(state.snapshot->jobs, state.snapshot->workers, state.snapshot->assignments);
  if (request.path == "/") return {200, "text/html; charset=utf-8", FrontPage(cluster)};
  if (request.path == "/api/v1/jobs") return JsonResponse(JobsView(cluster));
  if (request.path == "/api/v1/workers") return JsonResponse(WorkersView(cluster));

  const auto name = request.query.find("job");
  if (name == request.query.end()) return Error(400, "which job? — try ?job=NAME");
  const auto job = RequireJob(cluster, name->second);
  if (!job.ok()) return FromStatus(job.status());
  const auto logs = ReadPartitionLogs(*state.bus, cluster, *job);
  if (!logs.ok()) return FromStatus(logs.status());
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  return JsonResponse(request.path == "/api/v1/status" ? StatusView(cluster, *job, *logs, now_ms)
                                                       : PartitionsView(cluster, *job, *logs, now_ms));
}

}  // namespace millrace
