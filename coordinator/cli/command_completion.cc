// completion: what shells complete. The scripts ask each command's own --help for its flags, so that they
// follow whatever the commands take.
#include <algorithm>
#include <string>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_table.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

constexpr char kBash[] = R"sh(# bash completion for coordinator:  source <(coordinator completion bash)
_coordinator() {
  local word="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "@COMMANDS@ --help --version" -- "$word"))
  elif [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$(coordinator "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$word"))
  elif [ "$COMP_CWORD" -eq 2 ]; then
    case "$command" in
@CASES@
      *) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _coordinator coordinator
)sh";

constexpr char kZsh[] = R"sh(#compdef coordinator
# zsh completion for coordinator:  source <(coordinator completion zsh)
_coordinator() {
  local -a commands
  commands=(
@DESCRIPTIONS@
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
  elif [[ "${words[CURRENT]}" == -* ]]; then
    compadd -- ${(f)"$(coordinator ${words[2]} --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)"}
  elif (( CURRENT == 3 )); then
    case "${words[2]}" in
@CASES@
      *) _files ;;
    esac
  else
    _files
  fi
}
compdef _coordinator coordinator
)sh";

constexpr char kFish[] = R"sh(# fish completion for coordinator:  coordinator completion fish | source
function __coordinator_flags
  set -l words (commandline -opc)
  coordinator $words[2] --help 2>/dev/null | string match -ra -- '--[a-z][a-z-]*' | sort -u
end
@LINES@
complete -c coordinator -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -a '(__coordinator_flags)'
)sh";

std::string Bash() {
  std::vector<std::string> names, cases;
  for (const CommandEntry& entry : CommandTable()) {
    names.push_back(entry.name);
    if (entry.subcommands.empty()) continue;
    cases.push_back(StrCat("      ", entry.name, ") COMPREPLY=($(compgen -W \"",
                           absl::StrJoin(entry.subcommands, " "), "\" -- \"$word\")) ;;"));
  }
  return absl::StrReplaceAll(
      kBash, {{"@COMMANDS@", absl::StrJoin(names, " ")}, {"@CASES@", absl::StrJoin(cases, "\n")}});
}

std::string Zsh() {
  std::vector<std::string> descriptions, cases;
  for (const CommandEntry& entry : CommandTable()) {
    descriptions.push_back(StrCat("    '", entry.name, ":",
                                  absl::StrReplaceAll(entry.help, {{"'", "'\\''"}, {":", "\\:"}}), "'"));
    if (entry.subcommands.empty()) continue;
    cases.push_back(
        StrCat("      ", entry.name, ") compadd -- ", absl::StrJoin(entry.subcommands, " "), " ;;"));
  }
  return absl::StrReplaceAll(
      kZsh, {{"@DESCRIPTIONS@", absl::StrJoin(descriptions, "\n")}, {"@CASES@", absl::StrJoin(cases, "\n")}});
}

std::string Fish() {
  std::vector<std::string> lines;
  for (const CommandEntry& entry : CommandTable()) {
    lines.push_back(StrCat("complete -c coordinator -f -n __fish_use_subcommand -a ", entry.name, " -d '",
                           absl::StrReplaceAll(entry.help, {{"'", "\\'"}}), "'"));
    for (const std::string& subcommand : entry.subcommands) {
      lines.push_back(StrCat("complete -c coordinator -f -n '__fish_seen_subcommand_from ", entry.name,
                             "' -a ", subcommand));
    }
  }
  return absl::StrReplaceAll(kFish, {{"@LINES@", absl::StrJoin(lines, "\n")}});
}

}  // namespace

int RunCompletion(const Arguments& arguments) {
  std::string shell;
  CommandLine command("coordinator completion bash|zsh|fish", "Prints the completion script of a shell.",
                      "source <(coordinator completion bash)");
  command.flags().Positional("bash|zsh|fish", &shell);
  if (const auto exit = command.Parse(arguments)) return *exit;
  std::string script = shell == "bash" ? Bash() : shell == "zsh" ? Zsh() : shell == "fish" ? Fish() : "";
  if (script.empty()) {
    return Fail(absl::InvalidArgumentError(
        StrCat("completion ", shell, " — no such shell is known — try bash, zsh or fish")));
  }
  const absl::Status status = WriteOut(script);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
