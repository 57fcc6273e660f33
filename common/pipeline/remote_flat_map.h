// `flat_map: { remote: … }`: a handler process makes none, one or many values of a record.
#pragma once

#include <memory>

#include "common/pipeline/stage.h"

namespace millrace {

// REQUIRES: spec.what is a FlatMapStage of handler processes, asked through context->calls. `context` must outlive
// the stage.
std::unique_ptr<Stage> MakeRemoteFlatMapStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                              StepContext* context);

}  // namespace millrace
