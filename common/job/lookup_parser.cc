#include "common/job/lookup_parser.h"

#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kLookupExample =
    "lookup: { table: airports.csv, key: code, by: r.origin, as: airport }";

std::string ParseTableName(const YamlNode& value, YamlReader* reader) {
  const std::string name = reader->Text(value, "table", "the name of a file", kLookupExample);
  if (!reader->ok()) return name;
  if (!IsCodeFileName(name)) {
    reader->Fail(value, StrCat("`table: ", name, "` is no plain file name"),
                 "a table lies beside its job file", "try `table: airports.csv`");
  } else if (!name.ends_with(".csv") && !name.ends_with(".jsonl")) {
    reader->Fail(value, StrCat("`table: ", name, "` says no format"), "it is told by the end of the name",
                 "call it .csv (with a header row) or .jsonl");
  }
  return name;
}

}  // namespace

LookupStage ParseLookup(const YamlNode& value, YamlReader* reader) {
  LookupStage lookup;
  if (!reader->Mapping(value, "lookup", kLookupExample)) return lookup;
  reader->CheckKeys(value, "`lookup`", {"table", "key", "by", "as", "missing"});
  if (const YamlNode* table = reader->Required(value, "table", "`lookup`", kLookupExample)) {
    lookup.table = ParseTableName(*table, reader);
  }
  if (const YamlNode* key = reader->Required(value, "key", "`lookup`", kLookupExample)) {
    lookup.key = reader->Text(*key, "key", "a column of the table", kLookupExample);
  }
  if (const YamlNode* by = reader->Required(value, "by", "`lookup`", kLookupExample)) {
    lookup.by = reader->Text(*by, "by", "a Lua expression over `r`", kLookupExample);
  }
  if (const YamlNode* as = reader->Required(value, "as", "`lookup`", kLookupExample)) {
    lookup.as = reader->Text(*as, "as", "the name of a field", kLookupExample);
  }
  if (const YamlNode* missing = value.Find("missing")) {
    using Missing = LookupStage::Missing;
    lookup.missing = reader->Choice<Missing>(
        *missing, "missing",
        {{"null", Missing::kNull}, {"drop", Missing::kDrop}, {"error", Missing::kError}});
  }
  return lookup;
}

}  // namespace millrace
