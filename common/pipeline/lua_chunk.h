// A piece of user code: where it stands in the job file, and how a message about it begins.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/job/job_spec.h"
#include "common/pipeline/lua_inputs.h"
#include "common/pipeline/lua_source.h"

namespace millrace {

struct LuaChunk {
  std::string name;
  CodePlace place;
  std::vector<std::string> expressions;  // empty: keyed
  KeyedSource keyed;
  LuaUsage usage;

  // What Lua calls it.
  std::string LuaName() const;
  // What leads a message about that line of the job file; 0: not known.
  std::string Title(int line) const;
  // Newlines that give the code's lines the numbers which they have in the job file.
  std::string Padding() const;
  // A message of Lua's with Title in front, on one line.
  std::string Tidy(std::string_view message) const;
};

}  // namespace millrace
