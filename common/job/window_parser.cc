#include "common/job/window_parser.h"

#include <string>

#include "common/job/aggregate_parser.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

constexpr std::string_view kWindowExample =
    "window: { tumbling: 1h, lateness: 1m, aggregate: { n: count() } }";
constexpr absl::Duration kMinWindow = absl::Milliseconds(1);
constexpr absl::Duration kMaxWindow = absl::Hours(24 * 3653);

// Event time has milliseconds, so bounds between two of them could be met by no record.
absl::Duration WholeMilliseconds(const YamlNode& value, std::string_view field, absl::Duration min,
                                 YamlReader* reader) {
  const std::string example = StrCat(field, ": ", field == "lateness" ? "1m" : "1h");
  const absl::Duration duration = reader->Duration(value, field, min, kMaxWindow, example);
  if (duration != absl::Floor(duration, absl::Milliseconds(1))) {
    reader->FailValue(value, field, "whole milliseconds", example);
  }
  return duration;
}

// The one of `tumbling`, `sliding` and `session` that is there; null after a failure.
const YamlNode* ParseKind(const YamlNode& value, WindowStage* window, YamlReader* reader) {
  struct Kind {
    std::string_view name;
    WindowStage::Kind kind;
  };
  constexpr Kind kKinds[] = {{"tumbling", WindowStage::Kind::kTumbling},
                             {"sliding", WindowStage::Kind::kSliding},
                             {"session", WindowStage::Kind::kSession}};
  const YamlNode* size = nullptr;
  std::string_view before;
  for (const Kind& kind : kKinds) {
    const YamlNode* const found = value.Find(kind.name);
    if (found == nullptr) continue;
    if (size != nullptr) {
      reader->Fail(*found, StrCat("`", kind.name, "` beside `", before, "`"), "a window is of one kind",
                   "leave one of the two out");
    }
    size = found;
    before = kind.name;
    window->kind = kind.kind;
    window->size = WholeMilliseconds(*found, kind.name, kMinWindow, reader);
  }
  if (size == nullptr) {
    reader->Fail(value, "a window without a kind", "it is `tumbling`, `sliding` or a `session`",
                 StrCat("try `", kWindowExample, "`"));
  }
  return size;
}

void ParseEvery(const YamlNode& value, WindowStage* window, YamlReader* reader) {
  constexpr std::string_view kExample = "try `window: { sliding: 1h, every: 5m, aggregate: { n: count() } }`";
  const YamlNode* const every = value.Find("every");
  if (window->kind != WindowStage::Kind::kSliding) {
    window->every = window->size;
    if (every != nullptr) {
      reader->Fail(*every, "`every` without `sliding`", "only sliding windows overlap", "leave it out");
    }
    return;
  }
  if (every == nullptr) {
    reader->Fail(value, "`sliding` without `every`", "it says how far each window starts behind the last",
                 kExample);
    return;
  }
  window->every = WholeMilliseconds(*every, "every", kMinWindow, reader);
  if (!reader->ok()) return;
  if (window->every > window->size) {
    reader->Fail(*every, StrCat("`every` is longer than `sliding`"),
                 "records between two windows would be in none of them", kExample);
  } else if (window->size > kMaxWindowsOfRecord * window->every) {
    reader->Fail(*every,
                 StrCat("`sliding: ", millrace::FormatDuration(window->size),
                        ", every: ", millrace::FormatDuration(window->every), "`"),
                 StrCat("a record would be in more than ", kMaxWindowsOfRecord, " windows"),
                 "try a longer `every`");
  }
}

void CheckColumnNames(const YamlNode& columns, YamlReader* reader) {
  for (const YamlEntry& column : columns.entries) {
    if (column.key.text != kWindowStartField && column.key.text != kWindowEndField) continue;
    reader->Fail(column.key, StrCat("`", column.key.text, "` as a column"),
                 "the window's own bounds have that name", "give it another name");
  }
}

}  // namespace

WindowStage ParseWindow(const YamlNode& value, YamlReader* reader) {
  WindowStage window;
  if (!reader->Mapping(value, "window", kWindowExample)) return window;
  reader->CheckKeys(value, "`window`",
                    {"tumbling", "sliding", "every", "session", "lateness", "late", "aggregate"});
  if (ParseKind(value, &window, reader) == nullptr) return window;
  ParseEvery(value, &window, reader);
  if (const YamlNode* lateness = value.Find("lateness")) {
    window.lateness = WholeMilliseconds(*lateness, "lateness", absl::ZeroDuration(), reader);
  }
  if (const YamlNode* late = value.Find("late")) {
    window.late = reader->Choice<WindowStage::Late>(
        *late, "late", {{"dead_letter", WindowStage::Late::kDeadLetter}, {"drop", WindowStage::Late::kDrop}});
  }
  const YamlNode* const columns = reader->Required(value, "aggregate", "`window`", kWindowExample);
  if (columns == nullptr) return window;
  window.columns = ParseColumns(*columns, kWindowExample, reader);
  CheckColumnNames(*columns, reader);
  return window;
}

}  // namespace millrace
