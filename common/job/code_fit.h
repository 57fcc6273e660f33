// Whether new code can go on with a job's state: what `coordinator update` asks before it changes anything.
#pragma once

#include "absl/status/status.h"
#include "common/job/job_spec.h"

namespace millrace {

// What must stay: everything by which records find their partition and results their stream (name, source, key,
// time, partitions, sink, retain), segment by segment; `ttl`; and of each segment the stages that keep state: in
// number, order and kind, each in the branch in which it was (branches without such stages come and go), with an
// aggregate's columns and `emit`, with what a `dedupe` goes by and for how long, and with whose a limit's buckets
// are. What lies in the state then means to the new code what it meant to the old. Everything else may change:
// the code of `keyed` (which finds the `state` that the old code left), stages without state, and how errors,
// timeouts and commits are dealt with.
//
// FAILED_PRECONDITION, one line: `FILE:LINE:COLUMN: what — why — what to try`, with the place in `next`'s file
// where there is one.
absl::Status CheckCodeFits(const JobSpec& in_force, const JobSpec& next);

}  // namespace millrace
