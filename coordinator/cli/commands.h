// The coordinator's commands: each parses its own arguments (those behind its name), does its work and gives
// the exit code (common/exit_codes.h). Called once in a process, on the main thread, after signals are
// caught.
#pragma once

#include <string>
#include <vector>

namespace millrace {

using Arguments = std::vector<std::string>;

int RunDev(const Arguments& arguments);
int RunServe(const Arguments& arguments);
int RunSubmit(const Arguments& arguments);
int RunCopy(const Arguments& arguments);

int RunCheck(const Arguments& arguments);
int RunTry(const Arguments& arguments);
int RunTest(const Arguments& arguments);

int RunJobs(const Arguments& arguments);
int RunStatus(const Arguments& arguments);
int RunPartitions(const Arguments& arguments);
int RunWorkers(const Arguments& arguments);
int RunTop(const Arguments& arguments);
int RunResults(const Arguments& arguments);

int RunPause(const Arguments& arguments);
int RunResume(const Arguments& arguments);
int RunCancel(const Arguments& arguments);
int RunDelete(const Arguments& arguments);
int RunDrain(const Arguments& arguments);
int RunUpdate(const Arguments& arguments);

int RunState(const Arguments& arguments);
int RunDeadLetters(const Arguments& arguments);
int RunVerify(const Arguments& arguments);
int RunReplay(const Arguments& arguments);
int RunDoctor(const Arguments& arguments);
int RunBench(const Arguments& arguments);
int RunChaos(const Arguments& arguments);
int RunPlan(const Arguments& arguments);
int RunNatsPermissions(const Arguments& arguments);
int RunCompletion(const Arguments& arguments);

}  // namespace millrace
