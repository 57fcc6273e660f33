#include "common/job/aggregate_parser.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

constexpr size_t kMaxColumns = 256;
constexpr size_t kMaxPathBytes = 256;
constexpr std::string_view kAggregateExample = "aggregate: { flights: count(), total: sum(delay) }";
constexpr absl::Duration kMinEvery = absl::Milliseconds(1);
constexpr absl::Duration kMaxEvery = absl::Hours(24 * 365);

constexpr std::string_view kFunctionList = "count() sum(f) min(f) max(f) avg(f) first(f) last(f) distinct(f)";

std::string Trimmed(std::string_view text) { return std::string(absl::StripAsciiWhitespace(ToAbsl(text))); }

void FailFunction(const YamlNode& value, const std::string& name, const std::string& path,
                  YamlReader* reader) {
  std::vector<std::string> names;
  for (const AggregateFunction known : kAggregateFunctions) names.emplace_back(AggregateFunctionName(known));
  const std::string near = NearMiss(name, names);
  std::string what = StrCat(Quoted(value.text), ": no such function");
  if (!near.empty()) {
    what = StrCat(Quoted(value.text), ": did you mean `", near, "(", near == "count" ? "" : path, ")`?");
  }
  reader->Fail(value, what, "`aggregate` does not know it", StrCat("use one of ", kFunctionList));
}

// `sum(delay)`
AggregateColumn ParseColumn(const std::string& column_name, const YamlNode& value, YamlReader* reader) {
  AggregateColumn column;
  column.name = column_name;
  const std::string text = value.IsScalar() ? Trimmed(value.text) : "";
  const size_t open = text.find('(');
  if (open == std::string::npos || text.back() != ')') {
    reader->FailValue(value, column_name, StrCat("a function, one of ", kFunctionList), kAggregateExample);
    return column;
  }
  const std::string name = Trimmed(text.substr(0, open));
  column.path = Trimmed(text.substr(open + 1, text.size() - open - 2));
  const auto* known = std::find_if(std::begin(kAggregateFunctions), std::end(kAggregateFunctions),
                                   [&](AggregateFunction f) { return AggregateFunctionName(f) == name; });
  if (known == std::end(kAggregateFunctions)) {
    FailFunction(value, name, column.path, reader);
    return column;
  }
  column.function = *known;
  if (column.function == AggregateFunction::kCount && !column.path.empty()) {
    reader->Fail(value, StrCat(Quoted(text), ": `count()` takes no field"), "it counts records",
                 "try `count()`");
  } else if (column.function != AggregateFunction::kCount && !IsPath(column.path)) {
    reader->Fail(value, StrCat(Quoted(text), ": no field to work on"),
                 StrCat("`", name, "` takes a field or a path such as a.b"),
                 StrCat("try `", name, "(delay)`"));
  }
  return column;
}

EmitSpec ParseEmit(const YamlNode& value, YamlReader* reader) {
  EmitSpec emit;
  if (value.IsScalar() && absl::StartsWith(value.text, "every ")) {
    YamlNode every = value;
    every.text = Trimmed(value.text.substr(6));
    emit.mode = EmitSpec::Mode::kEvery;
    emit.every = reader->Duration(every, "emit", kMinEvery, kMaxEvery, "emit: every 5s");
    return emit;
  }
  if (value.IsScalar() && value.text == "every") {
    reader->FailValue(value, "emit", "a duration behind `every`", "emit: every 5s");
    return emit;
  }
  emit.mode = reader->Choice<EmitSpec::Mode>(value, "emit",
                                             {{"each", EmitSpec::Mode::kEach},
                                              {"changes", EmitSpec::Mode::kChanges},
                                              {"final", EmitSpec::Mode::kFinal},
                                              {"every 5s", EmitSpec::Mode::kEvery}});
  return emit;
}

}  // namespace

bool IsPath(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathBytes) return false;
  if (path.front() == '.' || path.back() == '.' || path.find("..") != std::string_view::npos) return false;
  return std::none_of(path.begin(), path.end(),
                      [](char c) { return c == '(' || c == ')' || static_cast<unsigned char>(c) < 0x20; });
}

std::vector<AggregateColumn> ParseColumns(const YamlNode& columns, std::string_view example,
                                          YamlReader* reader) {
  std::vector<AggregateColumn> parsed;
  if (!reader->Mapping(columns, "aggregate", example)) return parsed;
  if (columns.entries.empty() || columns.entries.size() > kMaxColumns) {
    reader->Fail(columns, StrCat("`aggregate` has ", columns.entries.size(), " columns"),
                 StrCat("it takes 1 to ", kMaxColumns), StrCat("try `", example, "`"));
  }
  for (const YamlEntry& entry : columns.entries) {
    parsed.push_back(ParseColumn(entry.key.text, entry.value, reader));
  }
  return parsed;
}

AggregateStage ParseAggregate(const YamlNode& stage, YamlReader* reader) {
  AggregateStage aggregate;
  aggregate.columns = ParseColumns(*stage.Find("aggregate"), kAggregateExample, reader);
  if (const YamlNode* emit = stage.Find("emit")) aggregate.emit = ParseEmit(*emit, reader);
  return aggregate;
}

}  // namespace millrace
