// Whatever the text, a job file is parsed or refused on one line; a parsed one reads back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/job/job_difference.h"
#include "common/job/job_parser.h"
#include "common/strings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto spec = millrace::ParseJob("fuzz.yaml", text);
  if (!spec.ok()) {
    if (millrace::ToStd(spec.status().message()).find('\n') != std::string_view::npos) std::abort();
    return 0;
  }
  const auto again = millrace::ParseJob("fuzz.yaml", text, {"partitions=7"});
  if (!again.ok()) return 0;
  const auto stored = millrace::ParseJob("fuzz.yaml", again->text);
  if (!stored.ok() || !millrace::DescribeDifference(*again, *stored).empty()) std::abort();
  return 0;
}
