#include "common/flags.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/exit_codes.h"
#include "common/flag_sources.h"
#include "common/flag_table.h"
#include "common/strings.h"
#include "common/units.h"
#include "common/version.h"

namespace millrace {
namespace {

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

}  // namespace

struct Flags::Impl {
  FlagTable table;
  bool help = false, version = false;
  std::string config;
};

Flags::Flags(std::string usage, std::string what, std::string example) : impl_(std::make_unique<Impl>()) {
  impl_->table.usage = std::move(usage);
  impl_->table.what = std::move(what);
  impl_->table.example = std::move(example);
  AddSwitch("help", &impl_->help, "this text");
  AddShort('h', "help");
  AddSwitch("version", &impl_->version, "the version");
  Add("config", &impl_->config, "FILE",
      "flags as lines `key = value`; the environment and the command line win");
}

Flags::~Flags() = default;

void Flags::Add(const std::string& name, std::string* value, const std::string& metavar,
                const std::string& help) {
  Flag& flag = impl_->table.New(name, metavar, help);
  flag.default_text = *value;
  flag.set = [value](const std::string& text) {
    *value = text;
    return absl::OkStatus();
  };
}

void Flags::Add(const std::string& name, absl::Duration* value, const std::string& help) {
  Flag& flag = impl_->table.New(name, "DURATION", help);
  flag.default_text = millrace::FormatDuration(*value);
  flag.set = Setter(value, [](const std::string& text) { return millrace::ParseDuration(text); });
}

void Flags::Add(const std::string& name, int64_t* value, const std::string& metavar,
                const std::string& help) {
  Flag& flag = impl_->table.New(name, metavar, help);
  flag.default_text = StrCat(*value);
  flag.set = Setter(value, ParseInteger);
}

void Flags::Add(const std::string& name, std::optional<int64_t>* value, const std::string& metavar,
                const std::string& help) {
  impl_->table.New(name, metavar, help).set = Setter(value, ParseInteger);
}

void Flags::Add(const std::string& name, std::vector<std::string>* values, const std::string& metavar,
                const std::string& help) {
  Flag& flag = impl_->table.New(name, metavar, help + " (repeats)");
  flag.repeats = true;
  flag.clear = [values] { values->clear(); };
  flag.set = [values](const std::string& text) {
    values->push_back(text);
    return absl::OkStatus();
  };
}

void Flags::Add(const std::string& name, std::optional<std::string>* value, const std::string& metavar,
                const std::string& help) {
  impl_->table.New(name, metavar, help).set = [value](const std::string& text) {
    *value = text;
    return absl::OkStatus();
  };
}

void Flags::AddChoice(const std::string& name, std::string* value, const std::string& metavar,
                      const std::vector<std::string>& choices, const std::string& help) {
  Flag& flag = impl_->table.New(name, metavar, help);
  flag.default_text = *value;
  flag.set = Setter(value, [choices](const std::string& text) -> absl::StatusOr<std::string> {
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
    const std::string near = NearMiss(text, choices);
    return absl::InvalidArgumentError(StrCat("\"", text, "\" is not known — it is one of ",
                                             absl::StrJoin(choices, ", "), " — try ",
                                             near.empty() ? choices.front() : near));
  });
}

void Flags::AddChecked(const std::string& name, std::string* value, const std::string& metavar,
                       absl::Status (*check)(const std::string&), const std::string& help) {
  Flag& flag = impl_->table.New(name, metavar, help);
  flag.default_text = *value;
  flag.set = Setter(value, [check](const std::string& text) -> absl::StatusOr<std::string> {
    if (const absl::Status status = check(text); !status.ok()) return status;
    return text;
  });
}

void Flags::AddSize(const std::string& name, uint64_t* value, const std::string& help) {
  Flag& flag = impl_->table.New(name, "SIZE", help);
  // As it can be typed: FormatSize has a space, and rounds.
  if (*value > 0) flag.default_text = absl::StrReplaceAll(FormatSize(*value), {{".0", ""}, {" ", ""}});
  flag.set = Setter(value, [](const std::string& text) { return ParseSize(text); });
}

void Flags::AddSwitch(const std::string& name, bool* value, const std::string& help) {
  Flag& flag = impl_->table.New(name, "", help);
  flag.is_switch = true;
  flag.set = Setter(value, ParseSwitch);
}

void Flags::AddShort(char letter, const std::string& name) {
  if (Flag* flag = impl_->table.Find(name)) flag->letter = letter;
}

void Flags::Positional(const std::string& name, std::string* value) {
  impl_->table.arguments.push_back({name, true, false, [value](const std::string& text) { *value = text; }});
}

void Flags::OptionalPositional(const std::string& name, std::string* value) {
  impl_->table.arguments.push_back({name, false, false, [value](const std::string& text) { *value = text; }});
}

void Flags::Positionals(const std::string& name, std::vector<std::string>* values) {
  impl_->table.arguments.push_back(
      {name, false, true, [values](const std::string& text) { values->push_back(text); }});
}

void Flags::AcceptInConfig(const Flags& of_others) {
  for (const Flag& flag : of_others.impl_->table.flags) {
    if (flag.name != "config") impl_->table.of_others.push_back(flag.name);
  }
}

absl::StatusOr<Flags::Outcome> Flags::Parse(const std::vector<std::string>& arguments) {
  GivenByName from_line, from_environment, given;
  std::vector<std::string> positional;
  if (absl::Status s = ReadCommandLine(impl_->table, arguments, &from_line, &positional); !s.ok()) return s;
  if (from_line.contains("help")) {
    std::fputs(Help().c_str(), stdout);
    return Outcome{false, kExitDone};
  }
  if (from_line.contains("version")) {
    const std::string name = impl_->table.Command();
    std::fputs(StrCat(name.substr(0, name.find(' ')), " ", kVersion, "\n").c_str(), stdout);
    return Outcome{false, kExitDone};
  }
  ReadEnvironment(impl_->table, &from_environment);
  for (const GivenByName* source : {&from_line, &from_environment}) {
    const auto config = source->find("config");
    if (config == source->end()) continue;
    if (absl::Status s = ReadConfigFile(impl_->table, config->second.values.front(), &given); !s.ok())
      return s;
    break;
  }
  for (const auto& [name, entry] : from_environment) given.insert_or_assign(name, entry);
  for (const auto& [name, entry] : from_line) given.insert_or_assign(name, entry);
  if (absl::Status s = impl_->table.Apply(given); !s.ok()) return s;
  if (absl::Status s = impl_->table.ApplyPositional(positional); !s.ok()) return s;
  return Outcome{};
}

std::string Flags::Help() const {
  constexpr size_t kHelpColumn = 28;
  std::string text = StrCat("Usage: ", impl_->table.usage, "\n\n", impl_->table.what, "\n\nFlags:\n");
  for (const Flag& flag : impl_->table.flags) {
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
            impl_->table.example, "\n");
  return text;
}

std::vector<std::string> Flags::Names() const { return impl_->table.Names(); }

}  // namespace millrace
