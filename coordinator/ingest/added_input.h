// Files that are fed to a job beside the source that it reads for ever: each is a writer of its own, known by a
// number.
//
//   mr-assignments   added.<uid>.<n>        InputAdded   made once by the submit that first brought these files
//                    fed.<uid>.add-<n>      InputFed     made once when all of it was acknowledged
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/names.h"
#include "coordinator/ingest/input_reader.h"

namespace millrace {

// Each has a cursor in every commit of every partition, for as long as the job lives.
inline constexpr uint32_t kMaxAddedInputs = 256;

// The number of these inputs in the job: the one that they have, or the next. What is in them counts, as far as
// their digests tell it, and not what they are called. RESOURCE_EXHAUSTED: the job has kMaxAddedInputs others.
absl::StatusOr<uint32_t> NumberAddedInput(Bus& bus, const std::string& job, const std::string& uid,
                                          const InputAdded& added);

// Whether they were fed whole before, and what of it. nullopt: they were not.
absl::StatusOr<std::optional<InputFed>> FindFed(Bus& bus, const std::string& uid, std::string_view writer);

// Reads an input that has a pipe to its end, and compares: one that begins as another that was fed may be a third. FAILED_PRECONDITION: it is. Errors are those of InputReader::Next, and of `keep_waiting`, asked
// while there is nothing to read. REQUIRES: Next was not called yet.
absl::Status CheckFedInput(InputReader& input, const InputFed& fed, Clock& clock,
                           const std::function<absl::Status()>& keep_waiting);

}  // namespace millrace
