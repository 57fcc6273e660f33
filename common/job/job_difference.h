// What differs between two job files of one name.
#pragma once

#include <string>

#include "common/job/job_spec.h"

namespace millrace {

// The first field that differs, in a line with both values: "`partitions` was `16`, is `4`", where `before`
// had 16. Empty when both do the same: comments, the order of keys, defaults written out, stage lines and
// `tests` do not count.
std::string DescribeDifference(const JobSpec& before, const JobSpec& after);

}  // namespace millrace
