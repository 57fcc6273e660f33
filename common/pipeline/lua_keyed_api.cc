#include "common/pipeline/lua_keyed_api.h"

#include <algorithm>
#include <cmath>
#include <lua.hpp>

#include "absl/time/time.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/lua_values.h"
#include "common/units.h"

namespace millrace {
namespace {

constexpr double kMaxTimeMs = 9007199254740992.0;  // 2^53: what a Lua number holds exactly

// Their addresses are the keys of the registry.
constexpr char kCallKey = 'c';
constexpr char kPackerKey = 'p';

template <typename T>
T* FromRegistry(lua_State* lua, const char* key) {
  lua_pushlightuserdata(lua, const_cast<char*>(key));
  lua_rawget(lua, LUA_REGISTRYINDEX);
  T* const found = static_cast<T*>(lua_touserdata(lua, -1));
  lua_pop(lua, 1);
  return found;
}
void ToRegistry(lua_State* lua, const char* key, void* value) {
  lua_pushlightuserdata(lua, const_cast<char*>(key));
  lua_pushlightuserdata(lua, value);
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

void TakeText(lua_State* lua, int index, const char* what, std::string* out) {
  const int type = lua_type(lua, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) {
    luaL_error(lua, "emit: a %s must be a string or a number, got a %s", what, luaL_typename(lua, index));
  }
  lua_pushvalue(lua, index);
  size_t size = 0;
  const char* const data = lua_tolstring(lua, -1, &size);
  out->assign(data, size);
  lua_pop(lua, 1);
}

void TakeHeaders(lua_State* lua, int index, KeyedCall::Emitted* emitted) {
  if (!lua_istable(lua, index))
    luaL_error(lua, "emit: headers must be a table, got a %s", luaL_typename(lua, index));
  lua_pushnil(lua);
  while (lua_next(lua, index) != 0) {
    emitted->headers.emplace_back();
    TakeText(lua, lua_gettop(lua) - 1, "header's name", &emitted->headers.back().first);
    TakeText(lua, lua_gettop(lua), "header", &emitted->headers.back().second);
    lua_pop(lua, 1);
  }
  std::sort(emitted->headers.begin(), emitted->headers.end());
}

// emit(value [, {key=…, headers=…}])
int Emit(lua_State* lua) {
  KeyedCall* const call = FromRegistry<KeyedCall>(lua, &kCallKey);
  LuaPacker* const packer = FromRegistry<LuaPacker>(lua, &kPackerKey);
  if (lua_gettop(lua) == 0) luaL_error(lua, "emit needs a value");
  if (call->emitted_count >= kMaxEmitsPerCall) {
    luaL_error(lua, "emit: more than %d values from one record", static_cast<int>(kMaxEmitsPerCall));
  }
  if (call->emitted_count == call->emitted.size()) call->emitted.emplace_back();
  KeyedCall::Emitted& emitted = call->emitted[call->emitted_count];
  emitted.packed.clear();
  emitted.headers.clear();
  emitted.has_key = false;
  packer->Append(lua, 1, LuaPacker::NumberKeys::kAsText, &emitted.packed);
  if (!lua_isnoneornil(lua, 2)) {
    luaL_checktype(lua, 2, LUA_TTABLE);
    lua_getfield(lua, 2, "key");
    if (!lua_isnil(lua, -1)) {
      TakeText(lua, lua_gettop(lua), "key", &emitted.key);
      emitted.has_key = true;
    }
    lua_getfield(lua, 2, "headers");
    if (!lua_isnil(lua, -1)) TakeHeaders(lua, lua_gettop(lua), &emitted);
  }
  ++call->emitted_count;
  return 0;
}

void AddTimer(lua_State* lua, double ms, bool event_time) {
  KeyedCall* const call = FromRegistry<KeyedCall>(lua, &kCallKey);
  if (!(std::abs(ms) <= kMaxTimeMs)) luaL_error(lua, "a timer's time must be milliseconds below 2^53");
  if (call->timers.size() >= kMaxTimersPerCall) {
    luaL_error(lua, "more than %d timers from one record", static_cast<int>(kMaxTimersPerCall));
  }
  call->timers.push_back({event_time, static_cast<int64_t>(std::ceil(ms))});
}

// Milliseconds of a duration as job files write it; negative when it is none.
double DurationMs(std::string_view text) {
  const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  return duration.ok() ? absl::ToDoubleMilliseconds(*duration) : -1;
}

// timer(delay): milliseconds, or "10s", in log time
int SetTimer(lua_State* lua) {
  double ms = 0;
  if (lua_type(lua, 1) == LUA_TSTRING) {
    size_t size = 0;
    const char* const text = lua_tolstring(lua, 1, &size);
    ms = DurationMs({text, size});
    if (ms < 0) luaL_error(lua, "timer: '%s' is no duration like 250ms, 10s, 5m", text);
  } else {
    ms = luaL_checknumber(lua, 1);
    if (!(ms >= 0)) luaL_error(lua, "timer: the delay must not be negative");
  }
  AddTimer(lua, ms, /*event_time=*/false);
  return 0;
}

// timer_at(time): milliseconds since the epoch, in event time
int SetTimerAt(lua_State* lua) {
  AddTimer(lua, luaL_checknumber(lua, 1), /*event_time=*/true);
  return 0;
}

}  // namespace

void PushKeyedBuiltins(lua_State* lua, int builtins) {
  lua_newtable(lua);
  const int copy = lua_gettop(lua);
  lua_pushnil(lua);
  while (lua_next(lua, builtins) != 0) {
    lua_pushvalue(lua, -2);
    lua_insert(lua, -2);
    lua_rawset(lua, copy);
  }
  const luaL_Reg functions[] = {{"emit", &Emit}, {"timer", &SetTimer}, {"timer_at", &SetTimerAt}};
  for (const luaL_Reg& function : functions) {
    lua_pushcfunction(lua, function.func);
    lua_setfield(lua, copy, function.name);
  }
}

void SetCurrentCall(lua_State* lua, KeyedCall* call, LuaPacker* packer) {
  ToRegistry(lua, &kCallKey, call);
  ToRegistry(lua, &kPackerKey, packer);
}

}  // namespace millrace
