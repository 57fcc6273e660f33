// What a verification has found, and how much it has covered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/verify/result_comparer.h"
#include "nlohmann/json.hpp"

namespace millrace {

struct VerifyReport {
  uint32_t partitions = 0;
  uint32_t from_checkpoints = 0;               // partitions that were not replayed from their first message
  uint64_t messages = 0, messages_in_log = 0;  // replayed; there, or deleted since
  uint64_t records = 0;                        // of the first segment
  uint64_t results = 0;                        // compared
  uint64_t results_before = 0;                 // of messages before a checkpoint: only their order is known
  uint64_t results_on_the_way = 0;             // a job that runs has not put them out yet
  uint64_t crossed = 0;                        // outputs of one segment compared with the next one's log
  uint64_t dead_letters = 0;
  uint64_t keys = 0;
  uint64_t bytes = 0;
  uint64_t dropped_messages = 0;  // sent twice, or a zombie's
  uint64_t epochs = 0;            // of the owners, in the result streams and the logs of later segments
  uint32_t states_compared = 0;
  Differences differences;
  std::vector<std::string> notes;
};
nlohmann::ordered_json ToJson(const VerifyReport& report, const std::string& job);
std::string ToText(const VerifyReport& report);

}  // namespace millrace
