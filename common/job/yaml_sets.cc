#include "common/job/yaml_sets.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/escape.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxSetBytes = 64 << 10;
constexpr size_t kMostShownSetBytes = 60;

absl::Status BadSet(std::string_view set, std::string_view why, std::string_view attempt) {
  return absl::InvalidArgumentError(StrCat(SetName(set), ": cannot be applied — ", why, " — ", attempt));
}

// The nodes of a value given with --set have no place in the file.
void PlaceInSet(size_t number, YamlNode* node) {
  node->line = node->column = 0;
  node->set = number;
  for (YamlNode& item : node->items) PlaceInSet(number, &item);
  for (YamlEntry& entry : node->entries) {
    PlaceInSet(number, &entry.key);
    PlaceInSet(number, &entry.value);
  }
}

YamlNode* FindOrAdd(YamlNode* mapping, const std::string& key, size_t number) {
  for (YamlEntry& entry : mapping->entries) {
    if (entry.key.text == key) return &entry.value;
  }
  YamlEntry& added = mapping->entries.emplace_back();
  added.key.kind = YamlNode::Kind::kScalar;
  added.key.text = key;
  added.key.set = added.value.set = number;
  return &added.value;
}

}  // namespace

std::string SetName(std::string_view set) {
  const std::string_view shown = Shorten(set, kMostShownSetBytes);
  return StrCat("--set ", EscapeControls(shown), shown.size() < set.size() ? "…" : "");
}

absl::Status ApplySet(std::string_view set, size_t number, YamlNode* root) {
  const size_t equals = set.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return BadSet(set, "it is PATH=VALUE", "try --set partitions=4");
  }
  const std::vector<std::string> path = absl::StrSplit(ToAbsl(set.substr(0, equals)), '.');
  if (path.size() >= kMaxYamlDepth) return BadSet(set, "the path is too deep", "try --set partitions=4");
  absl::StatusOr<YamlNode> value =
      ParseYaml(StrCat("--set ", set.substr(0, equals)), set.substr(equals + 1), kMaxSetBytes);
  if (!value.ok()) return value.status();
  PlaceInSet(number, &*value);

  YamlNode* node = root;
  for (const std::string& step : path) {
    if (step.empty()) return BadSet(set, "the path has an empty part", "try --set source.format=csv");
    if (node->IsSequence()) {
      size_t index = 0;
      if (!absl::SimpleAtoi(step, &index) || index >= node->items.size()) {
        return BadSet(
            set,
            StrCat(Quoted(step), " is no position in a list of ", node->items.size(), ", counted from 0"),
            "try --set stages.0.name=first");
      }
      node = &node->items[index];
      continue;
    }
    if (node->kind == YamlNode::Kind::kNull) node->kind = YamlNode::Kind::kMapping;
    if (!node->IsMapping()) {
      return BadSet(set, StrCat("there is a plain value where ", Quoted(step), " would be"),
                    "give a shorter path");
    }
    node = FindOrAdd(node, step, number);
  }
  *node = std::move(*value);
  return absl::OkStatus();
}

}  // namespace millrace
