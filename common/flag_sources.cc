#include "common/flag_sources.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/escape.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

namespace po = boost::program_options;

constexpr size_t kMaxConfigFileBytes = 1 << 20;
constexpr size_t kMostShownBytes = 60;  // of a line that a message quotes

std::string EnvironmentName(const std::string& flag) {
  return "MILLRACE_" + absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}}));
}

po::options_description Describe(const FlagTable& table) {
  po::options_description description;
  for (const Flag& flag : table.flags) {
    std::string names = flag.name;
    if (flag.letter != 0) names += std::string(",") + flag.letter;
    // The description owns the semantic; the conversions are in Flag::set.
    description.add_options()(names.c_str(), new po::untyped_value(flag.is_switch), flag.help.c_str());
  }
  return description;
}

absl::Status Unknown(const FlagTable& table, const std::string& shown, const std::string& name) {
  const std::string near = NearMiss(name, table.Names());
  const std::string command = table.Command();
  return absl::InvalidArgumentError(
      near.empty()
          ? StrCat(shown, ": no such flag — ", command, " does not have it — see ", command, " --help")
          : StrCat(shown, ": no such flag — did you mean --", near, "? — see ", command, " --help"));
}

// `key = value`, and behind a # whatever one likes. Boost reads such files too, but tells of no line.
absl::Status ReadConfigLine(const FlagTable& table, const std::string& place, std::string_view line,
                            GivenByName* given) {
  const auto text = absl::StripAsciiWhitespace(ToAbsl(line.substr(0, line.find('#'))));
  if (text.empty()) return absl::OkStatus();
  const std::pair<std::string, std::string> words = absl::StrSplit(text, absl::MaxSplits('=', 1));
  const std::string name(absl::StripAsciiWhitespace(words.first));
  if (name.empty() || !absl::StrContains(text, "=")) {
    return absl::InvalidArgumentError(StrCat(place, ": \"",
                                             EscapeControls(Shorten(ToStd(text), kMostShownBytes)),
                                             "\" sets nothing — a config file has lines `key = value` — try "
                                             "`log-level = debug`"));
  }
  const std::string shown = StrCat(place, ": ", EscapeControls(Shorten(name, kMostShownBytes)));
  const bool known = std::any_of(table.flags.begin(), table.flags.end(),
                                 [&](const Flag& flag) { return flag.name == name; });
  if (!known && std::find(table.of_others.begin(), table.of_others.end(), name) != table.of_others.end()) {
    return absl::OkStatus();
  }
  if (!known || name == "config") return Unknown(table, shown, name);
  Given& entry = (*given)[name];
  entry.source = shown;
  entry.values.emplace_back(absl::StripAsciiWhitespace(words.second));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadCommandLine(const FlagTable& table, const std::vector<std::string>& words,
                             GivenByName* given, std::vector<std::string>* positional) {
  const po::options_description description = Describe(table);
  // Without allow_guessing: a prefix that works today could mean another flag tomorrow.
  const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
  try {
    const po::parsed_options parsed = po::command_line_parser(words).options(description).style(style).run();
    for (const po::option& option : parsed.options) {
      if (option.position_key >= 0) {
        positional->insert(positional->end(), option.value.begin(), option.value.end());
        continue;
      }
      Given& entry = (*given)[option.string_key];
      entry.source = "--" + option.string_key;
      if (option.value.empty()) entry.values.push_back("true");
      entry.values.insert(entry.values.end(), option.value.begin(), option.value.end());
    }
  } catch (const po::unknown_option& error) {
    const std::string shown = error.get_option_name();
    return Unknown(table, shown, std::string(absl::StripPrefix(absl::StripPrefix(shown, "-"), "-")));
  } catch (const po::invalid_command_line_syntax& error) {
    const std::string name = error.get_option_name();
    if (error.kind() == po::invalid_syntax::extra_parameter) {
      return absl::InvalidArgumentError(
          StrCat(name, " takes no value — it is a switch — give it alone, or leave it out"));
    }
    return absl::InvalidArgumentError(
        StrCat(name, ": the value is missing — this flag takes one — see ", table.Command(), " --help"));
  } catch (const po::error& error) {
    return absl::InvalidArgumentError(
        StrCat(error.what(), " — the command line could not be read — see ", table.Command(), " --help"));
  }
  return absl::OkStatus();
}

void ReadEnvironment(const FlagTable& table, GivenByName* given) {
  for (const Flag& flag : table.flags) {
    std::vector<std::string> names = {EnvironmentName(flag.name)};
    if (flag.name == "nats") names.push_back("NATS_URL");
    if (flag.name == "help" || flag.name == "version") continue;
    for (const std::string& name : names) {
      const char* value = std::getenv(name.c_str());
      if (value == nullptr || *value == '\0') continue;
      (*given)[flag.name] = {name, {value}};
      break;
    }
  }
}

absl::Status ReadConfigFile(const FlagTable& table, const std::string& path, GivenByName* given) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxConfigFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (!file.is_open() || file.bad()) {
    return absl::InvalidArgumentError(
        StrCat("--config ", path, ": cannot be read — no such file, or not allowed — check the path"));
  }
  if (text.size() > kMaxConfigFileBytes) {
    return absl::InvalidArgumentError(
        StrCat("--config ", path, ": too large — a config file has at most 1 MiB — check the path"));
  }
  int number = 0;
  for (const auto line : absl::StrSplit(text, '\n')) {
    const std::string place = StrCat(path, ":", ++number);
    if (absl::Status read = ReadConfigLine(table, place, ToStd(line), given); !read.ok()) return read;
  }
  return absl::OkStatus();
}

}  // namespace millrace
