// The coordinator's HTTP answers: health, metrics, the commands' JSON under /api/v1, and a page for people.
#pragma once

#include "common/clock.h"
#include "common/http/http_server.h"
#include "common/metrics.h"
#include "coordinator/service/board.h"

namespace millrace {

// Thread-safe; all three outlive it. /api/v1/partitions and /api/v1/status ask the broker and may take long.
class Api {
 public:
  Api(const Board& board, const Metrics& metrics, const Clock& clock)
      : board_(board), metrics_(metrics), clock_(clock) {}

  HttpResponse Answer(const HttpRequest& request) const;

 private:
  HttpResponse AnswerForCluster(const HttpRequest& request) const;

  const Board& board_;
  const Metrics& metrics_;
  const Clock& clock_;
};

}  // namespace millrace
