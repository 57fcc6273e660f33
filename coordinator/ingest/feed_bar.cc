#include "coordinator/ingest/feed_bar.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"
#include "common/strings.h"
#include "coordinator/cli/context.h"

namespace millrace {
namespace {

constexpr absl::Duration kBarInterval = absl::Milliseconds(200);

}  // namespace

FeedBar::FeedBar(const Clock& clock, uint64_t total_bytes)
    : clock_(clock),
      total_bytes_(total_bytes),
      shown_(isatty(STDERR_FILENO) == 1 && !IsDumbTerminal()),
      start_(clock.Monotonic()) {}

void FeedBar::Show(const Ingest& ingest) {
  const absl::Duration now = clock_.Monotonic();
  if (!shown_ || now < next_) return;
  next_ = now + kBarInterval;
  const double seconds = std::max(absl::ToDoubleSeconds(now - start_), 1e-3);
  const double megabytes = static_cast<double>(ingest.position() - ingest.resumed_from()) / 1e6;
  std::string line = absl::StrFormat("%d records, %.1f MB/s", ingest.records(), megabytes / seconds);
  if (total_bytes_ > 0) {
    const double share = static_cast<double>(ingest.position()) / static_cast<double>(total_bytes_);
    line = absl::StrFormat("%3.0f %%  %s", 100 * share, line);
  }
  if (!ingest.trouble().empty()) StrAppend(&line, "  (", ingest.trouble(), ")");
  absl::FPrintF(stderr, "\r%s\x1b[K", line);
  drawn_ = true;
}

void FeedBar::Clear() {
  if (drawn_) absl::FPrintF(stderr, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace millrace
