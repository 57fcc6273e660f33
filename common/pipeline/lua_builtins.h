// The globals that user code sees: pure functions only, nothing that knows the machine, the time, an address
// or the order in which a table happens to lie in memory.
#pragma once

#include <cstddef>

struct lua_State;

namespace millrace {

inline constexpr size_t kMaxLuaStringRep = 16 << 20;  // bytes that one string.rep may make

// Opens the libraries in `lua` and pushes the table of builtins. User code must reach that table through a
// metatable's __index only, as it could be written to. Raises Lua errors: call under lua_pcall.
void PushBuiltins(lua_State* lua);

}  // namespace millrace
