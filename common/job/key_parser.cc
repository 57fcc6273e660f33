#include "common/job/key_parser.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/job/aggregate_parser.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxKeyFields = 16;

std::string ParsePath(const YamlNode& value, std::string_view field, YamlReader* reader) {
  const std::string example = StrCat(field, ": origin");
  const std::string path =
      reader->Text(value, field, "a field, a path such as a.b, a list, or { lua: … }", example);
  if (!path.empty() && !IsPath(path))
    reader->FailValue(value, field, "a field or a path such as a.b", example);
  return path;
}

KeySpec LuaKey(const YamlNode& value, std::string_view expression, std::string_view field,
               YamlReader* reader) {
  KeySpec key;
  key.place = reader->PlaceOf(value);
  key.kind = KeySpec::Kind::kLua;
  key.lua = std::string(absl::StripAsciiWhitespace(ToAbsl(expression)));
  if (key.lua.empty()) {
    reader->FailValue(value, field, "an expression behind `lua:`", StrCat(field, ": { lua: r.origin }"));
  }
  return key;
}

KeySpec LuaMapping(const YamlNode& value, std::string_view field, YamlReader* reader) {
  const std::string owner = StrCat("`", field, "`");
  const std::string example = StrCat(field, ": { lua: r.origin }");
  reader->CheckKeys(value, owner, {"lua"});
  const YamlNode* lua = reader->Required(value, "lua", owner, example);
  if (lua == nullptr || !lua->IsScalar()) {
    reader->FailValue(value, field, "an expression at `lua`", example);
    return {};
  }
  return LuaKey(*lua, lua->text, field, reader);
}

}  // namespace

KeySpec ParseKey(const YamlNode& value, std::string_view field, YamlReader* reader) {
  constexpr std::string_view kLuaPrefix = "lua:";
  if (value.IsScalar() && absl::StartsWith(value.text, ToAbsl(kLuaPrefix))) {
    return LuaKey(value, std::string_view(value.text).substr(kLuaPrefix.size()), field, reader);
  }
  if (value.IsMapping()) return LuaMapping(value, field, reader);
  KeySpec key;
  key.place = reader->PlaceOf(value);
  if (value.IsSequence()) {
    key.kind = KeySpec::Kind::kFields;
    if (value.items.empty() || value.items.size() > kMaxKeyFields) {
      reader->Fail(value, StrCat("`", field, "` is a list of ", value.items.size()),
                   StrCat("it takes 1 to ", kMaxKeyFields, " fields"),
                   StrCat("try `", field, ": [ origin, destination ]`"));
    }
    for (const YamlNode& item : value.items) key.paths.push_back(ParsePath(item, field, reader));
    return key;
  }
  key.paths.push_back(ParsePath(value, field, reader));
  return key;
}

}  // namespace millrace
