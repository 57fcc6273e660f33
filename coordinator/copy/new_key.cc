#include "coordinator/copy/new_key.h"

#include <utility>

#include "common/strings.h"

namespace millrace {

absl::StatusOr<NewKey> NewKey::Create(const KeySpec& before, const KeySpec& after) {
  NewKey key;
  const bool is_kept = before.kind == after.kind && before.paths == after.paths && before.lua == after.lua;
  if (is_kept) return key;
  if (after.kind == KeySpec::Kind::kLua) {
    absl::StatusOr<LuaKey> lua = LuaKey::Create(after.lua);
    if (!lua.ok()) return AtPlace(after.place, lua.status());
    key.lua_ = *std::move(lua);
  } else if (after.kind == KeySpec::Kind::kWhole) {
    return AtPlace(after.place, absl::InvalidArgumentError("the whole record is no key of a copy — leave "
                                                           "`key` as it is, or give `lua: r`"));
  } else {
    key.fields_ = std::make_unique<FieldKey>(after);
  }
  return key;
}

absl::StatusOr<std::string_view> NewKey::Take(const RecordView& record) {
  if (lua_.has_value()) return lua_->Take(record);
  if (fields_ == nullptr) return record.key;
  absl::StatusOr<std::string_view> key = fields_->Take(record);
  if (key.ok()) return key;
  return absl::InvalidArgumentError(StrCat(
      ToStd(key.status().message()), " — every record needs one that is neither null, a list nor an object"));
}

}  // namespace millrace
