// Where a job's tables lie on the broker: the stream `mr-j-tables`, which is made and deleted with the job's others.
//
// A table is messages of kTableChunkBytes on `mr.j.tables.data`, and then one on `mr.j.tables.<sha256>` that names their
// sequences: what it names is whole. Tables are found by what is in them, so it does not matter who puts one, and how
// often: chunks of a put that was cut off are nothing to a reader.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/job/code_file.h"

namespace millrace {

inline constexpr size_t kTableChunkBytes = 256 << 10;

// Both block, and use the bus's control plane alone.

// OK too when it is there already. REQUIRES: the stream is there.
absl::Status PutTable(Bus& bus, const std::string& job, const CodeFile& file, std::string_view content);
// UNAVAILABLE: it is not there (yet), or the broker is not. DATA_LOSS: what is there is something else.
absl::StatusOr<std::string> GetTable(Bus& bus, const std::string& job, const CodeFile& file);

// The table of that name of a job that was submitted, as FetchTable (common/code/code_files.h) is asked for it.
absl::StatusOr<std::string> FetchJobTable(Bus& bus, const std::string& job, const std::string& name,
                                          const CodeFile* known);

}  // namespace millrace
