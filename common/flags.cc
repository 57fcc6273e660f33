#include "common/flags.h"

#include <boost/program_options.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/exit_codes.h"
#include "common/strings.h"
#include "common/units.h"
#include "common/version.h"

namespace millrace {
namespace {

namespace po = boost::program_options;

constexpr size_t kMaxConfigFileBytes = 1 << 20;

struct Flag {
  std::string name;
  char letter = 0;
  std::string metavar;
  std::string help;
  std::string default_text;  // empty: none to show
  bool is_switch = false;
  bool repeats = false;
  std::function<absl::Status(const std::string&)> set;
  std::function<void()> clear = [] {};  // before the first value of a flag that repeats
};

struct Argument {
  std::string name;
  bool required = false;
  bool takes_rest = false;
  std::function<void(const std::string&)> set;
};

// What one source says of one flag.
struct Given {
  std::string source;  // as messages name it: --lease-ttl, MILLRACE_LEASE_TTL, FILE: lease-ttl
  std::vector<std::string> values;
};
using GivenByName = std::map<std::string, Given>;

std::string EnvironmentName(const std::string& flag) {
  return "MILLRACE_" + absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}}));
}

absl::StatusOr<bool> ParseSwitch(const std::string& text) {
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower == "true" || lower == "1") return true;
  if (lower == "false" || lower == "0") return false;
  return absl::InvalidArgumentError(
      StrCat("\"", text, "\" is no switch — it is on or off — try true or false"));
}

absl::StatusOr<int64_t> ParseInteger(const std::string& text) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) {
    return absl::InvalidArgumentError(
        StrCat("\"", text, "\" is no whole number — it is digits alone — try 10"));
  }
  return number;
}

// Sets `value` to what `parse` makes of the text.
template <typename T, typename Parse>
std::function<absl::Status(const std::string&)> Setter(T* value, Parse parse) {
  return [value, parse](const std::string& text) {
    auto parsed = parse(text);
    if (parsed.ok()) *value = *parsed;
    return parsed.status();
  };
}

// The words of a usage line before its first argument: what to type before --help.
std::string CommandOf(const std::string& usage) {
  std::vector<std::string> words;
  for (const auto word : absl::StrSplit(usage, ' ', absl::SkipEmpty())) {
    const bool plain =
        std::all_of(word.begin(), word.end(), [](char c) { return absl::ascii_islower(c) || c == '-'; });
    if (!plain || absl::StartsWith(word, "-")) break;
    words.emplace_back(word);
  }
  return absl::StrJoin(words, " ");
}

}  // namespace

struct Flags::Impl {
  std::string usage, what, example;
  std::vector<Flag> flags;
  std::vector<Argument> arguments;
  bool help = false, version = false;
  std::string config;

  Flag& New(const std::string& name, const std::string& metavar, const std::string& help_text) {
    Flag& flag = flags.emplace_back();
    flag.name = name;
    flag.metavar = metavar;
    flag.help = help_text;
    return flag;
  }

  Flag* Find(const std::string& name) {
    for (Flag& flag : flags) {
      if (flag.name == name) return &flag;
    }
    return nullptr;
  }

  std::vector<std::string> FlagNames() const {
    std::vector<std::string> names;
    for (const Flag& flag : flags) names.push_back(flag.name);
    return names;
  }

  po::options_description Describe() const;
  absl::Status Unknown(const std::string& shown, const std::string& name) const;
  absl::Status FromCommandLine(const std::vector<std::string>& words, GivenByName* given,
                               std::vector<std::string>* positional) const;
  void FromEnvironment(GivenByName* given) const;
  absl::Status FromConfigFile(const std::string& path, GivenByName* given) const;
  absl::Status Apply(const GivenByName& given);
  absl::Status ApplyPositional(const std::vector<std::string>& words);
};

po::options_description Flags::Impl::Describe() const {
  po::options_description description;
  for (const Flag& flag : flags) {
    std::string names = flag.name;
    if (flag.letter != 0) names += std::string(",") + flag.letter;
    // The description owns the semantic; the conversions are in Flag::set.
    description.add_options()(names.c_str(), new po::untyped_value(flag.is_switch), flag.help.c_str());
  }
  return description;
}

absl::Status Flags::Impl::Unknown(const std::string& shown, const std::string& name) const {
  const std::string near = NearMiss(name, FlagNames());
  const std::string command = CommandOf(usage);
  return absl::InvalidArgumentError(
      near.empty()
          ? StrCat(shown, ": no such flag — ", command, " does not have it — see ", command, " --help")
          : StrCat(shown, ": no such flag — did you mean --", near, "? — see ", command, " --help"));
}

absl::Status Flags::Impl::FromCommandLine(const std::vector<std::string>& words, GivenByName* given,
                                          std::vector<std::string>* positional) const {
  const po::options_description description = Describe();
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
    return Unknown(shown, std::string(absl::StripPrefix(absl::StripPrefix(shown, "-"), "-")));
  } catch (const po::invalid_command_line_syntax& error) {
    const std::string name = error.get_option_name();
    if (error.kind() == po::invalid_syntax::extra_parameter) {
      return absl::InvalidArgumentError(
          StrCat(name, " takes no value — it is a switch — give it alone, or leave it out"));
    }
    return absl::InvalidArgumentError(
        StrCat(name, ": the value is missing — this flag takes one — see ", CommandOf(usage), " --help"));
  } catch (const po::error& error) {
    return absl::InvalidArgumentError(
        StrCat(error.what(), " — the command line could not be read — see ", CommandOf(usage), " --help"));
  }
  return absl::OkStatus();
}

void Flags::Impl::FromEnvironment(GivenByName* given) const {
  for (const Flag& flag : flags) {
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

absl::Status Flags::Impl::FromConfigFile(const std::string& path, GivenByName* given) const {
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
  try {
    std::istringstream stream(text);
    const po::parsed_options parsed = po::parse_config_file(stream, Describe(), true);
    for (const po::option& option : parsed.options) {
      const std::string shown = StrCat(path, ": ", option.string_key);
      const bool known = std::any_of(flags.begin(), flags.end(),
                                     [&](const Flag& flag) { return flag.name == option.string_key; });
      if (!known || option.string_key == "config") return Unknown(shown, option.string_key);
      Given& entry = (*given)[option.string_key];
      entry.source = shown;
      entry.values.insert(entry.values.end(), option.value.begin(), option.value.end());
    }
  } catch (const po::error& error) {
    return absl::InvalidArgumentError(
        StrCat("--config ", path, ": ", error.what(),
               " — a config file has lines `key = value` — try `log-level = debug`"));
  }
  return absl::OkStatus();
}

absl::Status Flags::Impl::Apply(const GivenByName& given) {
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

absl::Status Flags::Impl::ApplyPositional(const std::vector<std::string>& words) {
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

Flags::Flags(std::string usage, std::string what, std::string example) : impl_(std::make_unique<Impl>()) {
  impl_->usage = std::move(usage);
  impl_->what = std::move(what);
  impl_->example = std::move(example);
  AddSwitch("help", &impl_->help, "this text");
  AddShort('h', "help");
  AddSwitch("version", &impl_->version, "the version");
  Add("config", &impl_->config, "FILE",
      "flags as lines `key = value`; the environment and the command line win");
}

Flags::~Flags() = default;

void Flags::Add(const std::string& name, std::string* value, const std::string& metavar,
                const std::string& help) {
  Flag& flag = impl_->New(name, metavar, help);
  flag.default_text = *value;
  flag.set = [value](const std::string& text) {
    *value = text;
    return absl::OkStatus();
  };
}

void Flags::Add(const std::string& name, absl::Duration* value, const std::string& help) {
  Flag& flag = impl_->New(name, "DURATION", help);
  flag.default_text = millrace::FormatDuration(*value);
  flag.set = Setter(value, [](const std::string& text) { return millrace::ParseDuration(text); });
}

void Flags::Add(const std::string& name, int64_t* value, const std::string& metavar,
                const std::string& help) {
  Flag& flag = impl_->New(name, metavar, help);
  flag.default_text = StrCat(*value);
  flag.set = Setter(value, ParseInteger);
}

void Flags::Add(const std::string& name, std::optional<int64_t>* value, const std::string& metavar,
                const std::string& help) {
  impl_->New(name, metavar, help).set = Setter(value, ParseInteger);
}

void Flags::Add(const std::string& name, std::vector<std::string>* values, const std::string& metavar,
                const std::string& help) {
  Flag& flag = impl_->New(name, metavar, help + " (repeats)");
  flag.repeats = true;
  flag.clear = [values] { values->clear(); };
  flag.set = [values](const std::string& text) {
    values->push_back(text);
    return absl::OkStatus();
  };
}

void Flags::AddSize(const std::string& name, uint64_t* value, const std::string& help) {
  Flag& flag = impl_->New(name, "SIZE", help);
  // As it can be typed: FormatSize has a space, and rounds.
  if (*value > 0) flag.default_text = absl::StrReplaceAll(FormatSize(*value), {{".0", ""}, {" ", ""}});
  flag.set = Setter(value, [](const std::string& text) { return ParseSize(text); });
}

void Flags::AddSwitch(const std::string& name, bool* value, const std::string& help) {
  Flag& flag = impl_->New(name, "", help);
  flag.is_switch = true;
  flag.set = Setter(value, ParseSwitch);
}

void Flags::AddShort(char letter, const std::string& name) {
  if (Flag* flag = impl_->Find(name)) flag->letter = letter;
}

void Flags::Positional(const std::string& name, std::string* value) {
  impl_->arguments.push_back({name, true, false, [value](const std::string& text) { *value = text; }});
}

void Flags::OptionalPositional(const std::string& name, std::string* value) {
  impl_->arguments.push_back({name, false, false, [value](const std::string& text) { *value = text; }});
}

void Flags::Positionals(const std::string& name, std::vector<std::string>* values) {
  impl_->arguments.push_back(
      {name, false, true, [values](const std::string& text) { values->push_back(text); }});
}

absl::StatusOr<Flags::Outcome> Flags::Parse(const std::vector<std::string>& arguments) {
  GivenByName from_line, from_environment, given;
  std::vector<std::string> positional;
  if (absl::Status s = impl_->FromCommandLine(arguments, &from_line, &positional); !s.ok()) return s;
  if (from_line.contains("help")) {
    std::fputs(Help().c_str(), stdout);
    return Outcome{false, kExitDone};
  }
  if (from_line.contains("version")) {
    const std::string name = CommandOf(impl_->usage);
    std::fputs(StrCat(name.substr(0, name.find(' ')), " ", kVersion, "\n").c_str(), stdout);
    return Outcome{false, kExitDone};
  }
  impl_->FromEnvironment(&from_environment);
  for (const GivenByName* source : {&from_line, &from_environment}) {
    const auto config = source->find("config");
    if (config == source->end()) continue;
    if (absl::Status s = impl_->FromConfigFile(config->second.values.front(), &given); !s.ok()) return s;
    break;
  }
  for (const auto& [name, entry] : from_environment) given.insert_or_assign(name, entry);
  for (const auto& [name, entry] : from_line) given.insert_or_assign(name, entry);
  if (absl::Status s = impl_->Apply(given); !s.ok()) return s;
  if (absl::Status s = impl_->ApplyPositional(positional); !s.ok()) return s;
  return Outcome{};
}

std::string Flags::Help() const {
  constexpr size_t kHelpColumn = 28;
  std::string text = StrCat("Usage: ", impl_->usage, "\n\n", impl_->what, "\n\nFlags:\n");
  for (const Flag& flag : impl_->flags) {
    std::string line = flag.letter == 0 ? "      " : StrCat("  -", std::string(1, flag.letter), ", ");
    StrAppend(&line, "--", flag.name, flag.metavar.empty() ? "" : " ", flag.metavar);
    if (line.size() + 2 > kHelpColumn) {
      StrAppend(&line, "\n", std::string(kHelpColumn, ' '));
    } else {
      line.resize(kHelpColumn, ' ');
    }
    StrAppend(&line, flag.help);
    if (!flag.default_text.empty()) StrAppend(&line, " (default: ", flag.default_text, ")");
    StrAppend(&text, line, "\n");
  }
  StrAppend(&text,
            "\nA flag is also read from the environment (--log-level is MILLRACE_LOG_LEVEL), then from the\n"
            "file that --config names.\n\nExample:\n  ",
            impl_->example, "\n");
  return text;
}

std::vector<std::string> Flags::Names() const { return impl_->FlagNames(); }

}  // namespace millrace
