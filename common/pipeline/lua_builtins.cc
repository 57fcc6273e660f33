#include "common/pipeline/lua_builtins.h"

#include <iterator>
#include <lua.hpp>

namespace millrace {
namespace {

// Runs once in each Lua state, with the real libraries at hand; returns the builtins.
//
// - Libraries are userdata with an __index, because a table could be written to (table.insert(math, x)) and
//   would then remember something from record to record.
// - There is no setmetatable: a weak table would show when the collector ran.
// - Walks go in byte order of the key (numbers first), as everything that enumerates state does.
constexpr char kPrelude[] = R"lua(
local max_rep_bytes = ...
local raw_next, type, raw_tostring, error, select, unpack = next, type, tostring, error, select, unpack
local getmetatable, newproxy, pcall = getmetatable, newproxy, pcall
local sort, raw_format, raw_rep = table.sort, string.format, string.rep
local gsub, find = string.gsub, string.find

local rank = { number = 1, string = 2, boolean = 3 }
local function before(a, b)
  local type_a, type_b = type(a), type(b)
  if type_a ~= type_b then return rank[type_a] < rank[type_b] end
  if type_a == 'boolean' then return not a and b end
  return a < b
end
local function check_key(key)
  if not rank[type(key)] then
    error('a table with a ' .. type(key) .. ' as a key cannot be walked: it has no order', 3)
  end
end

local function ordered_pairs(t)
  if type(t) ~= 'table' then error('pairs needs a table, got ' .. type(t), 2) end
  local keys, count = {}, 0
  for key in raw_next, t do
    check_key(key)
    count = count + 1
    keys[count] = key
  end
  sort(keys, before)
  local at = 0
  return function()
    while at < count do
      at = at + 1
      local value = t[keys[at]]
      if value ~= nil then return keys[at], value end
    end
  end
end

local function ordered_next(t, last)
  if type(t) ~= 'table' then error('next needs a table, got ' .. type(t), 2) end
  local least
  for key in raw_next, t do
    check_key(key)
    if (last == nil or before(last, key)) and (least == nil or before(key, least)) then least = key end
  end
  if least ~= nil then return least, t[least] end
end

local plain = { ['nil'] = true, boolean = true, number = true, string = true }
local function text(value)
  if plain[type(value)] then return raw_tostring(value) end
  return type(value)
end

local function format(pattern, ...)
  if type(pattern) == 'string' and find((gsub(pattern, '%%%%', '')), '%%[-+ #0-9.]*p') then
    error('string.format: %p is not offered, an address says nothing', 2)
  end
  local count = select('#', ...)
  local arguments = { ... }
  for i = 1, count do
    if not plain[type(arguments[i])] then arguments[i] = type(arguments[i]) end
  end
  return raw_format(pattern, unpack(arguments, 1, count))
end

local function rep(s, n, separator)
  if type(s) == 'string' and type(n) == 'number' and (#s + #(separator or '')) * n > max_rep_bytes then
    error('string.rep: the result would be larger than ' .. max_rep_bytes .. ' bytes', 2)
  end
  return raw_rep(s, n, separator)
end

local function pick(library, names)
  local picked = {}
  for name in names:gmatch('%S+') do picked[name] = library[name] end
  return picked
end
local function sealed(functions)
  local library = newproxy(true)
  local meta = getmetatable(library)
  meta.__index = functions
  meta.__metatable = false
  return library
end

local strings = pick(string, 'byte char find gmatch gsub len lower match reverse sub upper')
strings.format, strings.rep = format, rep
local string_meta = getmetatable('')
string_meta.__index = strings
string_meta.__metatable = false

return {
  assert = assert, error = error, ipairs = ipairs, next = ordered_next, pairs = ordered_pairs, pcall = pcall,
  select = select, tonumber = tonumber, tostring = text, type = type, unpack = unpack, xpcall = xpcall,
  string = sealed(strings),
  table = sealed(pick(table, 'concat insert maxn remove sort')),
  math = sealed(pick(math, [[abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10
                             max min modf pi pow rad sin sinh sqrt tan tanh]])),
  bit = sealed(pick(bit, 'arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex')),
}
)lua";

void Open(lua_State* lua, const char* name, lua_CFunction open) {
  lua_pushcfunction(lua, open);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 0);
}

}  // namespace

void PushBuiltins(lua_State* lua) {
  Open(lua, "", luaopen_base);
  Open(lua, LUA_STRLIBNAME, luaopen_string);
  Open(lua, LUA_TABLIBNAME, luaopen_table);
  Open(lua, LUA_MATHLIBNAME, luaopen_math);
  Open(lua, LUA_BITLIBNAME, luaopen_bit);
  if (luaL_loadbuffer(lua, kPrelude, std::size(kPrelude) - 1, "=builtins") != 0) lua_error(lua);
  lua_pushnumber(lua, static_cast<double>(kMaxLuaStringRep));
  lua_call(lua, 1, 1);
}

}  // namespace millrace
