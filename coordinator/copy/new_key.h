// The key of a record in the job that it is copied to.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/job/job_spec.h"
#include "common/pipeline/key_text.h"
#include "common/pipeline/lua_key.h"

namespace millrace {

// Not thread-safe.
class NewKey {
 public:
  // `before`: of the job that is copied. A record keeps its key where both say the same, and else is given one by
  // its value. INVALID_ARGUMENT when an expression does not compile.
  static absl::StatusOr<NewKey> Create(const KeySpec& before, const KeySpec& after);

  // INVALID_ARGUMENT, one line: the record has none. Valid until the next call, and no longer than the record.
  absl::StatusOr<std::string_view> Take(const RecordView& record);

 private:
  NewKey() = default;

  // At most one is set; none: the record's own.
  std::unique_ptr<FieldKey> fields_;
  std::optional<LuaKey> lua_;
};

}  // namespace millrace
