// SIGINT and SIGTERM as a count to look at.
#pragma once

namespace millrace {

// Call once, before threads start. Later signals only count.
void CatchStopSignals();
// How many stop signals came. 0: go on.
int StopSignals();

}  // namespace millrace
