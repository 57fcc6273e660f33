// bench_tools: what `./run bench` needs beside the real executables. Each tool is one measurement or one
// fixture; integration/bench.py says in which order.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "common/exit_codes.h"
#include "common/process.h"
#include "common/signals.h"
#include "integration/bench/tool.h"

int main(int argc, char** argv) {
  using Tool = absl::Status (*)(const std::vector<std::string>&);
  const std::map<std::string, Tool> tools = {
      {"fill", millrace::bench::RunFill},       {"echo", millrace::bench::RunEcho},
      {"watch", millrace::bench::RunWatch},     {"check", millrace::bench::RunCheck},
      {"latency", millrace::bench::RunLatency}, {"pools", millrace::bench::RunPools}};
  millrace::SetUpProcess();
  millrace::CatchStopSignals();
  const auto tool = tools.find(argc > 1 ? argv[1] : "");
  if (tool == tools.end()) {
    std::fputs("usage: bench_tools fill|echo|watch|check|latency|pools [FLAGS]\n", stderr);
    return millrace::kExitUsage;
  }
  const absl::Status status = tool->second(std::vector<std::string>(argv + 2, argv + argc));
  if (status.ok() || absl::IsCancelled(status)) return millrace::kExitDone;
  std::fprintf(stderr, "bench_tools: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? millrace::kExitUsage : millrace::kExitFailed;
}
