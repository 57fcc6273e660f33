// SIGINT and SIGTERM as a flag to look at and an fd to wait on.
#pragma once

namespace millrace {

// Call once, before threads start. Later signals only count.
void CatchStopSignals();
// How many stop signals came. 0: go on.
int StopSignals();
// The last one's number (SIGINT or SIGTERM), 0 for none.
int StopSignal();

}  // namespace millrace
