#include "common/job/remote_parser.h"

#include <map>

#include "absl/strings/numbers.h"
#include "common/job/branches.h"
#include "common/job/yaml_text.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kRemoteExample = "remote: ipc:///run/fraud-{worker}.sock";
constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kWorkerName = "{worker}";
constexpr size_t kMaxSocketPathBytes = 107;  // of the file system, with the worker's name in it

bool IsIpc(std::string_view endpoint) {
  if (!endpoint.starts_with(kIpc)) return false;
  const std::string_view path = endpoint.substr(kIpc.size());
  return path.starts_with('/') && path.size() <= kMaxSocketPathBytes;
}

bool IsTcp(std::string_view endpoint) {
  if (!endpoint.starts_with(kTcp)) return false;
  const std::string_view address = endpoint.substr(kTcp.size());
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  return colon != std::string_view::npos && colon > 0 &&
         absl::SimpleAtoi(ToAbsl(address.substr(colon + 1)), &port) && port >= 1 && port <= 65535;
}

}  // namespace

std::string ParseRemote(const YamlNode& value, YamlReader* reader) {
  const std::string endpoint = reader->Text(value, "remote", "an endpoint", kRemoteExample);
  if (!reader->ok()) return endpoint;
  if (!IsIpc(endpoint) && !IsTcp(endpoint)) {
    reader->FailValue(value, "remote", "ipc:// with a whole path of at most 107 bytes, or tcp://ADDRESS:PORT",
                      kRemoteExample);
  } else if (IsIpc(endpoint) && endpoint.find(kWorkerName) == std::string::npos) {
    reader->Fail(value, StrCat("`remote: ", endpoint, "` has no `{worker}` in it"),
                 "two workers of a machine would take the socket from each other",
                 StrCat("try `", kRemoteExample, "`"));
  }
  return endpoint;
}

absl::Status CheckRemotes(const std::vector<StageSpec>& stages) {
  std::map<std::string, const StageSpec*> stage_of_endpoint;
  for (const StageSpec* const stage : AllStages(stages)) {
    const std::string& endpoint = RemoteOf(*stage);
    if (endpoint.empty()) continue;
    const auto [first, is_new] = stage_of_endpoint.try_emplace(endpoint, stage);
    if (is_new) continue;
    return AtPlace(stage->place,
                   absl::InvalidArgumentError(
                       StrCat("`remote: ", endpoint, "` is the endpoint of stage ", first->second->code.name,
                              " as well — a handler is one stage's — give each an endpoint of "
                              "its own")));
  }
  return absl::OkStatus();
}

}  // namespace millrace
