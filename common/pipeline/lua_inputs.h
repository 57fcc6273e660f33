// What user code can look at: the record and where it comes from, under the names that it has in Lua.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/frame/frame.h"
#include "common/ids.h"
#include "common/pipeline/header_codec.h"
#include "common/pipeline/lua_source.h"

struct lua_State;

namespace millrace {

// What user code is given. Only what it mentions is made.
struct LuaInput {
  const RecordView* record = nullptr;  // null: a timer fired, `r` and `headers` are nil
  std::string_view key;
  int64_t time_ms = kNoTime;
  SegmentId segment = kFirstSegment;
  PartitionId partition;
  Offset offset;
  uint32_t position = 0;           // in the frame; label = "segment.partition.offset.position"
  std::string_view response = {};  // of a call, packed; empty: there was none
};

inline constexpr const char* kLuaInputs[] = {"r", "key", "time", "headers", "label", "response"};

// Pushes one of kLuaInputs; nil when there is none, or the code does not mention it. `headers`: the record's.
// Raises Lua errors.
void PushLuaInput(lua_State* lua, std::string_view name, const LuaUsage& usage, const LuaInput& input,
                  const HeaderList& headers);

}  // namespace millrace
