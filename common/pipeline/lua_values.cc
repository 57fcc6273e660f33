#include "common/pipeline/lua_values.h"

#include <algorithm>
#include <cmath>
#include <lua.hpp>

#include "common/value/msgpack.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr double kExactLuaNumber = 9007199254740992.0;  // 2^53

void PushToken(lua_State* lua, PackReader* reader, int depth);

void PushKey(lua_State* lua, const PackToken& token) {
  switch (token.type) {
    case PackToken::Type::kString:
    case PackToken::Type::kBinary:
      lua_pushlstring(lua, token.text.data(), token.text.size());
      return;
    case PackToken::Type::kInt:
      lua_pushnumber(lua, static_cast<double>(token.integer));
      return;
    case PackToken::Type::kUint:
      lua_pushnumber(lua, static_cast<double>(token.unsigned_integer));
      return;
    case PackToken::Type::kDouble:
      lua_pushnumber(lua, token.real);
      return;
    default:
      luaL_error(lua, "the value has an object key that is neither text nor a number");
  }
}

void PushContainer(lua_State* lua, const PackToken& token, PackReader* reader, int depth) {
  // Sizes are only hints, and what they say is not yet checked against what is there.
  constexpr uint32_t kMaxSizeHint = 1024;
  const int hint = static_cast<int>(std::min(token.count, kMaxSizeHint));
  const bool is_map = token.type == PackToken::Type::kMap;
  lua_createtable(lua, is_map ? 0 : hint, is_map ? hint : 0);
  for (uint32_t i = 0; i < token.count; ++i) {
    if (!is_map) {
      PushToken(lua, reader, depth + 1);
      lua_rawseti(lua, -2, static_cast<int>(i + 1));
      continue;
    }
    PackToken key;
    if (!reader->Next(&key)) luaL_error(lua, "the value is malformed MessagePack");
    PushKey(lua, key);
    PushToken(lua, reader, depth + 1);
    lua_rawset(lua, -3);
  }
}

void PushToken(lua_State* lua, PackReader* reader, int depth) {
  if (depth > kMaxPackDepth) luaL_error(lua, "the value is nested deeper than %d", kMaxPackDepth);
  luaL_checkstack(lua, 4, "the value is nested too deep");
  PackToken token;
  if (!reader->Next(&token)) luaL_error(lua, "the value is malformed MessagePack");
  switch (token.type) {
    case PackToken::Type::kNil:
      return lua_pushnil(lua);
    case PackToken::Type::kBool:
      return lua_pushboolean(lua, token.boolean ? 1 : 0);
    case PackToken::Type::kArray:
    case PackToken::Type::kMap:
      return PushContainer(lua, token, reader, depth);
    default:
      return PushKey(lua, token);
  }
}

void PushRow(lua_State* lua, const RecordView& record, bool whole, absl::Span<const std::string> fields) {
  lua_createtable(lua, 0, static_cast<int>(whole ? record.fields->size() : fields.size()));
  PackReader reader(record.value);
  size_t wanted = fields.size();
  for (const std::string_view name : *record.fields) {
    if (!whole) {
      if (wanted == 0) return;
      if (std::find(fields.begin(), fields.end(), name) == fields.end()) {
        if (!reader.Skip()) luaL_error(lua, "the record's value is malformed MessagePack");
        continue;
      }
      --wanted;
    }
    lua_pushlstring(lua, name.data(), name.size());
    PushToken(lua, &reader, 0);
    lua_rawset(lua, -3);
  }
}

bool IsListKey(double number, size_t count) {
  return number >= 1 && number <= static_cast<double>(count) && number == std::floor(number);
}

void AppendNumber(double number, PackWriter* out) {
  if (number == std::trunc(number) && std::abs(number) <= kExactLuaNumber) {
    out->Int(static_cast<int64_t>(number));
  } else {
    out->Double(number);
  }
}

}  // namespace

void PushPacked(lua_State* lua, std::string_view packed) {
  PackReader reader(packed);
  PushToken(lua, &reader, 0);
}

void PushValue(lua_State* lua, const RecordView& record, bool whole, absl::Span<const std::string> fields) {
  if (record.shape == kRawShape) {
    lua_pushlstring(lua, record.value.data(), record.value.size());
  } else if (record.shape == kPackedShape) {
    PushPacked(lua, record.value);
  } else {
    PushRow(lua, record, whole, fields);
  }
}

void LuaPacker::Append(lua_State* lua, int index, NumberKeys number_keys, std::string* out) {
  start_ = out->size();
  const int absolute = index < 0 ? lua_gettop(lua) + index + 1 : index;
  AppendAt(lua, absolute, number_keys, 0, out);
}

void LuaPacker::AppendAt(lua_State* lua, int index, NumberKeys number_keys, int depth, std::string* out) {
  PackWriter writer(out);
  switch (lua_type(lua, index)) {
    case LUA_TNIL:
      writer.Nil();
      break;
    case LUA_TBOOLEAN:
      writer.Bool(lua_toboolean(lua, index) != 0);
      break;
    case LUA_TNUMBER:
      AppendNumber(lua_tonumber(lua, index), &writer);
      break;
    case LUA_TSTRING: {
      size_t size = 0;
      const char* const data = lua_tolstring(lua, index, &size);
      const std::string_view text(data, size);
      IsValidUtf8(text) ? writer.String(text) : writer.Binary(text);
      break;
    }
    case LUA_TTABLE:
      AppendTable(lua, index, number_keys, depth, out);
      break;
    default:
      luaL_error(lua, "a %s cannot be a value", luaL_typename(lua, index));
  }
  if (out->size() - start_ > kMaxLuaValueBytes) luaL_error(lua, "the value is larger than 16 MiB");
}

void LuaPacker::CollectKeys(lua_State* lua, int index, NumberKeys number_keys) {
  lua_pushnil(lua);
  while (lua_next(lua, index) != 0) {
    lua_pop(lua, 1);
    const int type = lua_type(lua, -1);
    if (type != LUA_TNUMBER && type != LUA_TSTRING) {
      luaL_error(lua, "a key of a table must be a string or a number, found a %s", luaL_typename(lua, -1));
    }
    const bool is_number = type == LUA_TNUMBER;
    const double number = is_number ? lua_tonumber(lua, -1) : 0;
    // lua_tolstring would turn the key itself into a string and lose the walk's place: it works on a copy.
    lua_pushvalue(lua, -1);
    size_t size = 0;
    const char* const data = lua_tolstring(lua, -1, &size);
    const bool kept = is_number && number_keys == NumberKeys::kKept;
    keys_.push_back({is_number, number, kept ? std::string() : std::string(data, size)});
    lua_pop(lua, 1);
  }
}

void LuaPacker::AppendTable(lua_State* lua, int index, NumberKeys number_keys, int depth, std::string* out) {
  if (depth >= kMaxLuaValueDepth) {
    luaL_error(lua, "a table is nested deeper than %d, or in itself", kMaxLuaValueDepth);
  }
  luaL_checkstack(lua, 6, "a table is nested too deep");
  const size_t base = keys_.size();
  CollectKeys(lua, index, number_keys);
  const size_t count = keys_.size() - base;
  const bool is_list =
      count > 0 && std::all_of(keys_.begin() + static_cast<ptrdiff_t>(base), keys_.end(),
                               [&](const Key& key) { return key.is_number && IsListKey(key.number, count); });
  PackWriter writer(out);
  if (is_list) {
    keys_.resize(base);
    writer.Array(static_cast<uint32_t>(count));
    for (size_t i = 1; i <= count; ++i) {
      lua_rawgeti(lua, index, static_cast<int>(i));
      AppendAt(lua, lua_gettop(lua), number_keys, depth + 1, out);
      lua_pop(lua, 1);
    }
    return;
  }
  std::sort(keys_.begin() + static_cast<ptrdiff_t>(base), keys_.end(), [&](const Key& a, const Key& b) {
    if (number_keys == NumberKeys::kKept && a.is_number != b.is_number) return a.is_number;
    if (number_keys == NumberKeys::kKept && a.is_number) return a.number < b.number;
    return a.text != b.text ? a.text < b.text : a.is_number && !b.is_number;
  });
  writer.Map(static_cast<uint32_t>(count));
  for (size_t i = 0; i < count; ++i) {
    // By position: the recursion below grows and shrinks the vector behind this section.
    const bool is_number = keys_[base + i].is_number;
    if (is_number && number_keys == NumberKeys::kKept) {
      AppendNumber(keys_[base + i].number, &writer);
    } else {
      writer.String(keys_[base + i].text);
    }
    if (is_number) {
      lua_pushnumber(lua, keys_[base + i].number);
    } else {
      lua_pushlstring(lua, keys_[base + i].text.data(), keys_[base + i].text.size());
    }
    lua_rawget(lua, index);
    AppendAt(lua, lua_gettop(lua), number_keys, depth + 1, out);
    lua_pop(lua, 1);
  }
  keys_.resize(base);
}

}  // namespace millrace
