// Takes typed values out of a YAML tree. The first thing that is wrong is kept, with its place; after it
// every getter still answers, so that whoever reads a file needs no check behind each line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/job/yaml_tree.h"

namespace millrace {

// A key that the interface knows and this version does not have.
struct AbsentKey {
  std::string_view key;
  std::string_view instead;  // what to try
};

// Not thread-safe. The tree must outlive what is read from it.
class YamlReader {
 public:
  // `sets`: what was given with --set, by number.
  explicit YamlReader(std::string file_name, std::vector<std::string> sets = {})
      : file_name_(std::move(file_name)), sets_(std::move(sets)) {}

  const absl::Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }

  // `FILE:LINE:COLUMN` or `--set PATH=VALUE`, as messages begin.
  std::string PlaceOf(const YamlNode& node) const;

  // Keeps this error, if it is the first.
  void Fail(const YamlNode& at, std::string_view what, std::string_view why, std::string_view attempt);
  // The value of `field` has the wrong type or is out of range: it `takes` something else, as in `example`.
  void FailValue(const YamlNode& value, std::string_view field, std::string_view takes,
                 std::string_view example);
  void FailAbsent(const YamlNode& at, std::string_view what, std::string_view instead);
  // A word that is none of `choices`, with the near miss if there is one.
  void FailWord(const YamlNode& at, std::string_view word, std::string_view why,
                const std::vector<std::string>& choices);

  // Fails unless `value` is a mapping (a list).
  bool Mapping(const YamlNode& value, std::string_view field, std::string_view example);
  bool Sequence(const YamlNode& value, std::string_view field, std::string_view example);
  // Fails on the first key of `mapping` that is none of `known`. `owner`: "a stage".
  void CheckKeys(const YamlNode& mapping, std::string_view owner, const std::vector<std::string>& known,
                 const std::vector<AbsentKey>& absent = {});
  // The value at `key`; fails and answers null when there is none.
  const YamlNode* Required(const YamlNode& mapping, std::string_view key, std::string_view owner,
                           std::string_view example);

  // A scalar that is not empty.
  std::string Text(const YamlNode& value, std::string_view field, std::string_view takes,
                   std::string_view example);
  int64_t Integer(const YamlNode& value, std::string_view field, int64_t min, int64_t max,
                  std::string_view example);
  absl::Duration Duration(const YamlNode& value, std::string_view field, absl::Duration min,
                          absl::Duration max, std::string_view example);
  uint64_t Size(const YamlNode& value, std::string_view field, uint64_t min, uint64_t max,
                std::string_view example);

  template <typename T>
  T Choice(const YamlNode& value, std::string_view field,
           const std::vector<std::pair<std::string, T>>& choices) {
    std::vector<std::string> names;
    for (const auto& [name, choice] : choices) {
      if (value.IsScalar() && value.text == name) return choice;
      names.push_back(name);
    }
    FailChoice(value, field, names);
    return choices.front().second;
  }

 private:
  void FailChoice(const YamlNode& value, std::string_view field, const std::vector<std::string>& names);

  const std::string file_name_;
  const std::vector<std::string> sets_;
  absl::Status status_;
};

}  // namespace millrace
