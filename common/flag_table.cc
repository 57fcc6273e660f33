#include "common/flag_table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"

namespace millrace {

Flag& FlagTable::New(const std::string& name, const std::string& metavar, const std::string& help_text) {
  Flag& flag = flags.emplace_back();
  flag.name = name;
  flag.metavar = metavar;
  flag.help = help_text;
  return flag;
}

Flag* FlagTable::Find(const std::string& name) {
  for (Flag& flag : flags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

std::vector<std::string> FlagTable::Names() const {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.push_back(flag.name);
  return names;
}

std::string FlagTable::Command() const {
  std::vector<std::string> words;
  for (const auto word : absl::StrSplit(usage, ' ', absl::SkipEmpty())) {
    const bool plain =
        std::all_of(word.begin(), word.end(), [](char c) { return absl::ascii_islower(c) || c == '-'; });
    if (!plain || absl::StartsWith(word, "-")) break;
    words.emplace_back(word);
  }
  return absl::StrJoin(words, " ");
}

absl::Status FlagTable::Apply(const GivenByName& given) {
  for (const auto& [name, entry] : given) {
    Flag* flag = Find(name);
    if (entry.values.size() > 1 && !flag->repeats) {
      return absl::InvalidArgumentError(
          StrCat(entry.source, ": given more than once — it has one value — leave one of them out"));
    }
    flag->clear();
    for (const std::string& value : entry.values) {
      if (const absl::Status status = flag->set(value); !status.ok()) {
        return absl::InvalidArgumentError(StrCat(entry.source, ": ", status.message()));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status FlagTable::ApplyPositional(const std::vector<std::string>& words) {
  size_t next = 0;
  for (const Argument& argument : arguments) {
    if (argument.required && next >= words.size()) {
      return absl::InvalidArgumentError(
          StrCat(argument.name, " is missing — the usage is: ", usage, " — for example: ", example));
    }
    while (next < words.size()) {
      argument.set(words[next++]);
      if (!argument.takes_rest) break;
    }
  }
  if (next < words.size()) {
    return absl::InvalidArgumentError(StrCat("\"", words[next],
                                             "\" is one argument too many — the usage is: ", usage,
                                             " — for example: ", example));
  }
  return absl::OkStatus();
}

}  // namespace millrace
