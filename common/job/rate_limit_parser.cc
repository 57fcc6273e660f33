#include "common/job/rate_limit_parser.h"

#include <string_view>

#include "absl/strings/numbers.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kRateExample = "rate_limit: { rate: 100/s, burst: 200 }";

// `100/s`
void ParseRate(const YamlNode& value, RateLimitStage* limit, YamlReader* reader) {
  const std::string_view text = value.IsScalar() ? std::string_view(value.text) : std::string_view();
  const size_t slash = text.find('/');
  const std::string_view unit = slash == std::string_view::npos ? "" : text.substr(slash + 1);
  limit->period = unit == "s"   ? absl::Seconds(1)
                  : unit == "m" ? absl::Minutes(1)
                  : unit == "h" ? absl::Hours(1)
                                : absl::ZeroDuration();
  const bool plain =
      limit->period > absl::ZeroDuration() && absl::SimpleAtoi(ToAbsl(text.substr(0, slash)), &limit->count);
  if (plain && limit->count >= 1 && limit->count <= kMaxRate) return;
  reader->FailValue(value, "rate", StrCat("1 to ", kMaxRate, " records behind which stands /s, /m or /h"),
                    kRateExample);
}

}  // namespace

RateLimitStage ParseRateLimit(const YamlNode& value, YamlReader* reader) {
  RateLimitStage limit;
  if (!reader->Mapping(value, "rate_limit", kRateExample)) return limit;
  reader->CheckKeys(value, "`rate_limit`", {"rate", "burst", "per", "excess"});
  if (const YamlNode* rate = reader->Required(value, "rate", "`rate_limit`", kRateExample)) {
    ParseRate(*rate, &limit, reader);
  }
  limit.burst = limit.count;
  if (const YamlNode* burst = value.Find("burst")) {
    limit.burst = reader->Integer(*burst, "burst", 1, kMaxRate, kRateExample);
  }
  if (const YamlNode* per = value.Find("per")) {
    limit.per = reader->Choice<RateLimitStage::Per>(
        *per, "per", {{"key", RateLimitStage::Per::kKey}, {"stage", RateLimitStage::Per::kStage}});
  }
  if (const YamlNode* excess = value.Find("excess")) {
    limit.excess =
        reader->Choice<RateLimitStage::Excess>(*excess, "excess",
                                               {{"wait", RateLimitStage::Excess::kWait},
                                                {"drop", RateLimitStage::Excess::kDrop},
                                                {"dead_letter", RateLimitStage::Excess::kDeadLetter}});
  }
  return limit;
}

}  // namespace millrace
