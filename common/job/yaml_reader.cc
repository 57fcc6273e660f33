#include "common/job/yaml_reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "common/job/yaml_sets.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

// What stands there, for people.
std::string Describe(const YamlNode& value) {
  switch (value.kind) {
    case YamlNode::Kind::kNull:
      return "empty";
    case YamlNode::Kind::kScalar:
      return StrCat(value.quoted ? "the text " : "", Quoted(value.text));
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMapping:
      return "a mapping";
  }
  return "";
}

}  // namespace

std::string YamlReader::PlaceOf(const YamlNode& node) const {
  if (node.line == 0 && node.set < sets_.size()) return SetName(sets_[node.set]);
  return StrCat(file_name_, ":", node.line, ":", node.column);
}

void YamlReader::Fail(const YamlNode& at, std::string_view what, std::string_view why,
                      std::string_view attempt) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(StrCat(PlaceOf(at), ": ", what, " — ", why, " — ", attempt));
}

void YamlReader::FailValue(const YamlNode& value, std::string_view field, std::string_view takes,
                           std::string_view example) {
  Fail(value, StrCat("`", field, "` is ", Describe(value)), StrCat("it takes ", takes),
       StrCat("try `", example, "`"));
}

void YamlReader::FailAbsent(const YamlNode& at, std::string_view what, std::string_view instead) {
  Fail(at, StrCat("`", what, "` cannot be used"), "this version does not have it", instead);
}

void YamlReader::FailWord(const YamlNode& at, std::string_view word, std::string_view why,
                          const std::vector<std::string>& choices) {
  const std::string near = NearMiss(word, choices);
  const std::string list = absl::StrJoin(choices, ", ");
  if (near.empty()) {
    Fail(at, StrCat(Quoted(word), ": unknown"), why, StrCat("use one of ", list));
  } else {
    Fail(at, StrCat(Quoted(word), ": did you mean `", near, "`?"), why, StrCat("use one of ", list));
  }
}

void YamlReader::FailChoice(const YamlNode& value, std::string_view field,
                            const std::vector<std::string>& names) {
  if (value.IsScalar()) {
    FailWord(value, value.text, StrCat("`", field, "` does not take that"), names);
  } else {
    FailValue(value, field, StrCat("one of ", absl::StrJoin(names, ", ")),
              StrCat(field, ": ", names.front()));
  }
}

bool YamlReader::Mapping(const YamlNode& value, std::string_view field, std::string_view example) {
  if (!value.IsMapping()) FailValue(value, field, "a mapping", example);
  return value.IsMapping();
}

bool YamlReader::Sequence(const YamlNode& value, std::string_view field, std::string_view example) {
  if (!value.IsSequence()) FailValue(value, field, "a list", example);
  return value.IsSequence();
}

void YamlReader::CheckKeys(const YamlNode& mapping, std::string_view owner,
                           const std::vector<std::string>& known, const std::vector<AbsentKey>& absent) {
  for (const YamlEntry& entry : mapping.entries) {
    for (const AbsentKey& missing : absent) {
      if (entry.key.text == missing.key) FailAbsent(entry.key, missing.key, missing.instead);
    }
    if (std::find(known.begin(), known.end(), entry.key.text) == known.end()) {
      FailWord(entry.key, entry.key.text, StrCat(owner, " has no such key"), known);
    }
  }
}

const YamlNode* YamlReader::Required(const YamlNode& mapping, std::string_view key, std::string_view owner,
                                     std::string_view example) {
  const YamlNode* value = mapping.Find(key);
  if (value == nullptr) {
    Fail(mapping, StrCat("`", key, "` is missing"), StrCat(owner, " needs it"),
         StrCat("try `", example, "`"));
  }
  return value;
}

std::string YamlReader::Text(const YamlNode& value, std::string_view field, std::string_view takes,
                             std::string_view example) {
  if (!value.IsScalar() || absl::StripAsciiWhitespace(value.text).empty()) {
    FailValue(value, field, takes, example);
    return "";
  }
  return value.text;
}

int64_t YamlReader::Integer(const YamlNode& value, std::string_view field, int64_t min, int64_t max,
                            std::string_view example) {
  int64_t number = 0;
  const bool plain = value.IsScalar() && !value.quoted && absl::SimpleAtoi(value.text, &number);
  if (plain && number >= min && number <= max) return number;
  FailValue(value, field, StrCat("a whole number from ", min, " to ", max), example);
  return min;
}

absl::Duration YamlReader::Duration(const YamlNode& value, std::string_view field, absl::Duration min,
                                    absl::Duration max, std::string_view example) {
  if (value.IsScalar()) {
    const absl::StatusOr<absl::Duration> duration = ParseDuration(value.text);
    if (duration.ok() && *duration >= min && *duration <= max) return *duration;
  }
  FailValue(value, field,
            StrCat("a duration from ", millrace::FormatDuration(min), " to ", millrace::FormatDuration(max)),
            example);
  return min;
}

uint64_t YamlReader::Size(const YamlNode& value, std::string_view field, uint64_t min, uint64_t max,
                          std::string_view example) {
  if (value.IsScalar()) {
    const absl::StatusOr<uint64_t> size = ParseSize(value.text);
    if (size.ok() && *size >= min && *size <= max) return *size;
  }
  FailValue(value, field, StrCat("a size from ", FormatSize(min), " to ", FormatSize(max)), example);
  return min;
}

}  // namespace millrace
