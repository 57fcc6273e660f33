// What `keyed` code can call besides the builtins: emit, timer, timer_at.
#pragma once

struct lua_State;

namespace millrace {

struct KeyedCall;
class LuaPacker;

// Pushes a copy of the table at `builtins` with the functions added. Raises Lua errors.
void PushKeyedBuiltins(lua_State* lua, int builtins);

// Whose call the functions add to from now on.
void SetCurrentCall(lua_State* lua, KeyedCall* call, LuaPacker* packer);

}  // namespace millrace
