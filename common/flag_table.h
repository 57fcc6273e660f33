// The flags and arguments of one command line, and what is given for them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace millrace {

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
  std::string source;  // as messages name it: --lease-ttl, MILLRACE_LEASE_TTL, FILE:LINE: lease-ttl
  std::vector<std::string> values;
};
using GivenByName = std::map<std::string, Given>;

// Not thread-safe.
struct FlagTable {
  std::string usage, what, example;
  std::vector<Flag> flags;
  std::vector<Argument> arguments;
  std::vector<std::string> of_others;  // names that a config file may set, to no effect here

  Flag& New(const std::string& name, const std::string& metavar, const std::string& help_text);
  Flag* Find(const std::string& name);  // null: there is none
  std::vector<std::string> Names() const;
  // The words of the usage before its first argument: what to type before --help.
  std::string Command() const;

  // INVALID_ARGUMENT, one line.
  absl::Status Apply(const GivenByName& given);
  absl::Status ApplyPositional(const std::vector<std::string>& words);
};

}  // namespace millrace
