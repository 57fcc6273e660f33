// What can be told from the text of user code without running it: which globals it reads, which fields of
// `r`, and which part of a `keyed` chunk defines functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "common/strings.h"

namespace millrace {

struct LuaToken {
  enum class Kind { kName, kNumber, kString, kOther, kEnd };  // keywords are names
  Kind kind = Kind::kEnd;
  size_t begin = 0;
  size_t end = 0;
  std::string_view text;
};

// The tokens, comments left out, closed by a kEnd. Text that is no Lua gives some tokens; compiling finds it.
std::vector<LuaToken> LexLua(std::string_view code);

// Which names the code mentions, so that only those are made for each record. Errs on the side of too much.
struct LuaUsage {
  absl::flat_hash_set<std::string> names;
  bool whole_record = false;          // `r` is used other than as r.field
  std::vector<std::string> r_fields;  // otherwise: these fields of it

  bool Uses(std::string_view name) const { return names.contains(ToAbsl(name)); }
};
LuaUsage FindUsage(std::string_view code);

// A `keyed` chunk in two: `function on_timer() … end` and other functions at the top level go to
// `definitions`, the rest runs for each record. Lines keep their numbers. Top-level constants
// (`local N = 60`) are in both.
struct KeyedSource {
  std::string definitions;
  std::string record_code;
  bool has_on_timer = false;
};
// INVALID_ARGUMENT when a top-level function uses a top-level local that is no constant: in on_timer it would
// have no value.
absl::StatusOr<KeyedSource> SplitKeyedSource(std::string_view code);

}  // namespace millrace
