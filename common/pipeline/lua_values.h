// Values across the border between MessagePack and Lua.
//
//   null            nil                     string, bytes   string
//   boolean         boolean                 list            table, 1..n
//   number          number (a double)       object, row     table by name
//
// Out of Lua: a whole number within 2^53 is an integer, others doubles; a table with the keys 1..n is a list,
// any other an object in byte order of its keys; an empty table is an empty object; a string that is not
// UTF-8 is bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "common/frame/frame.h"

struct lua_State;

namespace millrace {

inline constexpr size_t kMaxLuaValueBytes = 16 << 20;  // of one value that leaves Lua, packed
inline constexpr int kMaxLuaValueDepth = 64;

// The functions below raise Lua errors (they do not return then): call them under lua_pcall, from frames that
// own nothing.

// Pushes one packed value. Malformed bytes are an error.
void PushPacked(lua_State* lua, std::string_view packed);

// Pushes the record's value. `fields`: of a row, only these are needed; empty with `whole` for all.
void PushValue(lua_State* lua, const RecordView& record, bool whole, absl::Span<const std::string> fields);

// Turns Lua values into packed ones. Holds scratch memory, so that a raised error leaks nothing.
class LuaPacker {
 public:
  // What becomes of the number keys of a table that is no list: text in values that leave (JSON has no
  // others), numbers in `state`, which must come back as it was.
  enum class NumberKeys { kAsText, kKept };

  // Appends the value at `index`. Raises an error naming what cannot be a value: a function, a table in
  // itself, a key that is neither string nor number, more than kMaxLuaValueBytes.
  void Append(lua_State* lua, int index, NumberKeys number_keys, std::string* out);
  // Forgets what a raised error left behind.
  void Reset() { keys_.clear(); }

 private:
  struct Key {
    bool is_number;
    double number;
    std::string text;  // what it sorts by and is written as; empty for a kept number
  };
  void AppendAt(lua_State* lua, int index, NumberKeys number_keys, int depth, std::string* out);
  void AppendTable(lua_State* lua, int index, NumberKeys number_keys, int depth, std::string* out);
  void CollectKeys(lua_State* lua, int index, NumberKeys number_keys);

  size_t start_ = 0;  // of `out`, when Append was called
  std::vector<Key> keys_;
};

}  // namespace millrace
