#include "coordinator/cli/command_table.h"

#include <algorithm>

namespace millrace {

const std::vector<CommandEntry>& CommandTable() {
  static const auto& table = *new std::vector<CommandEntry>{
      {"dev", "a whole cluster on this machine, to try things", RunDev, {}},
      {"serve", "the service: leads, assigns, answers HTTP", RunServe, {}},
      {"submit", "make a job and feed its input", RunSubmit, {}},
      {"copy", "a job's input once more, in more partitions", RunCopy, {}},
      {"check", "is this job file right?", RunCheck, {}},
      {"try", "run a job's stages here, without a cluster", RunTry, {}},
      {"test", "run the job file's own tests", RunTest, {}},
      {"jobs", "the jobs and how they are doing", RunJobs, {}},
      {"status", "one job: state, records, lag", RunStatus, {}},
      {"partitions", "a job's partitions: who owns them, how far they are", RunPartitions, {}},
      {"workers", "the workers, their load and their leases", RunWorkers, {}},
      {"top", "all of it at a glance, again and again", RunTop, {}},
      {"results", "what a job put out, each result once", RunResults, {}},
      {"pause", "let a job rest", RunPause, {}},
      {"resume", "let a paused job go on", RunResume, {}},
      {"cancel", "end a job before its input does", RunCancel, {}},
      {"delete", "delete a job with all that belongs to it", RunDelete, {}},
      {"drain", "empty a worker, or let it serve again", RunDrain, {}},
      {"state", "the state of keys, asked of the owner", RunState, {"get", "scan"}},
      {"dead-letters",
       "records that could not be handled, and why",
       RunDeadLetters,
       {"list", "show", "retry", "purge"}},
      {"update", "new code for a job that runs, state kept", RunUpdate, {}},
      {"verify", "replay the logs and compare results and state", RunVerify, {}},
      {"replay", "a partition's log step by step, with the state before and after", RunReplay, {}},
      {"chaos", "break a cluster on purpose, then a verdict", RunChaos, {}},
      {"doctor", "is this NATS, disk, clock, process fit for it?", RunDoctor, {}},
      {"bench", "measure the running cluster with a temporary job", RunBench, {}},
      {"plan", "workers and concurrency from a rate and times", RunPlan, {}},
      {"nats-permissions", "what each kind of user has to be allowed in NATS", RunNatsPermissions, {}},
      {"completion", "completion for bash, zsh or fish", RunCompletion, {"bash", "zsh", "fish"}},
  };
  return table;
}

const CommandEntry* FindCommand(std::string_view name) {
  const auto& table = CommandTable();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const CommandEntry& entry) { return entry.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace millrace
