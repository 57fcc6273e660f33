#include "common/pipeline/lua_inputs.h"

#include <cstdio>
#include <lua.hpp>

#include "common/pipeline/lua_values.h"

namespace millrace {
namespace {

void PushHeaders(lua_State* lua, const HeaderList& headers) {
  lua_newtable(lua);
  for (const auto& [name, value] : headers) {
    lua_pushlstring(lua, name.data(), name.size());
    lua_pushlstring(lua, value.data(), value.size());
    lua_rawset(lua, -3);
  }
}

void PushLabel(lua_State* lua, const LuaInput& input) {
  char label[64];
  const int size =
      snprintf(label, sizeof label, "%u.%u.%llu.%u", input.segment.value(), input.partition.value(),
               static_cast<unsigned long long>(input.offset.value()), input.position);
  lua_pushlstring(lua, label, static_cast<size_t>(size));
}

}  // namespace

void PushLuaInput(lua_State* lua, std::string_view name, const LuaUsage& usage, const LuaInput& input,
                  const HeaderList& headers) {
  const bool has_record = input.record != nullptr;
  if (!usage.Uses(name)) {
    lua_pushnil(lua);
  } else if (name == "r" && has_record) {
    PushValue(lua, *input.record, usage.whole_record, usage.r_fields);
  } else if (name == "key") {
    lua_pushlstring(lua, input.key.data(), input.key.size());
  } else if (name == "time" && input.time_ms != kNoTime) {
    lua_pushnumber(lua, static_cast<double>(input.time_ms));
  } else if (name == "headers" && has_record) {
    PushHeaders(lua, headers);
  } else if (name == "label") {
    PushLabel(lua, input);
  } else if (name == "response" && !input.response.empty()) {
    PushPacked(lua, input.response);
  } else {
    lua_pushnil(lua);
  }
}

}  // namespace millrace
