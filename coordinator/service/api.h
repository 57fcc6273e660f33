// The coordinator's HTTP answers: health, metrics, the commands' JSON under /api/v1, and a page for people.
#pragma once

#include <optional>

#include "common/clock.h"
#include "common/http/http_server.h"
#include "common/metrics.h"
#include "coordinator/service/board.h"
#include "coordinator/views/cluster.h"

namespace millrace {

// Thread-safe; all three outlive it. What is asked of one job asks the broker and may take long.
class Api {
 public:
  Api(const Board& board, const Metrics& metrics, const Clock& clock)
      : board_(board), metrics_(metrics), clock_(clock) {}

  HttpResponse Answer(const HttpRequest& request) const;

 private:
  struct Page;
  // nullopt: there is no such page.
  static std::optional<Page> PageOf(const HttpRequest& request);
  HttpResponse AnswerForCluster(const HttpRequest& request) const;
  HttpResponse AnswerForJob(const Page& page, const Cluster& cluster, Bus& bus) const;

  const Board& board_;
  const Metrics& metrics_;
  const Clock& clock_;
};

}  // namespace millrace
