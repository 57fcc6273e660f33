// The `aggregate` stage: `{ flights: count(), total: sum(delay) }` and `emit` beside it.
#pragma once

#include <string_view>
#include <vector>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

// `stage` is the mapping that has the key `aggregate`.
AggregateStage ParseAggregate(const YamlNode& stage, YamlReader* reader);

// The columns of it, or of another stage that takes them; `example` is that stage, written out.
std::vector<AggregateColumn> ParseColumns(const YamlNode& columns, std::string_view example,
                                          YamlReader* reader);

// A field, or a way down to one: `delay`, `carrier.name`.
bool IsPath(std::string_view path);

}  // namespace millrace
