#include "coordinator/ingest/feed_bar.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"
#include "common/strings.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

constexpr absl::Duration kBarInterval = absl::Milliseconds(200);

}  // namespace

FeedBar::FeedBar(const Clock& clock, const FeedTotal& total)
    : clock_(clock),
      total_(total),
      shown_(isatty(STDERR_FILENO) == 1 && !IsDumbTerminal()),
      start_(clock.Monotonic()) {}

void FeedBar::Show(const Ingest& ingest) {
  const absl::Duration now = clock_.Monotonic();
  if (!shown_ || now < next_) return;
  next_ = now + kBarInterval;
  const double seconds = std::max(absl::ToDoubleSeconds(now - start_), 1e-3);
  const double millions = static_cast<double>(ingest.position() - ingest.resumed_from()) / 1e6;
  std::string line =
      absl::StrFormat("%d records, %.1f M %ss/s", ingest.records(), millions / seconds, total_.unit);
  if (total_.amount > 0) {
    const double share = static_cast<double>(ingest.position()) / static_cast<double>(total_.amount);
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
