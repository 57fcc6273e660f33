// `keyed: { plugin: … }` and `flat_map: { plugin: … }`: code in a shared library (common/plugin).
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/pipeline/keyed_code.h"
#include "common/pipeline/stage.h"

namespace millrace {

// Each makes an instance of the plugin's code of its own. REQUIRES: spec.what is a KeyedStage, a FlatMapStage with a plugin.
// `context` must outlive what is made. FAILED_PRECONDITION: the plugin was not loaded (common/code/code_files.h), or its
// code cannot begin.
absl::StatusOr<std::unique_ptr<KeyedCode>> MakePluginKeyedCode(const StageSpec& spec, StepContext* context);
absl::StatusOr<std::unique_ptr<Stage>> MakePluginFlatMapStage(const StageSpec& spec,
                                                              const ErrorPolicy& job_errors,
                                                              StepContext* context);

}  // namespace millrace
