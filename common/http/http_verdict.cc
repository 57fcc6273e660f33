#include "common/http/http_verdict.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kShownBodyBytes = 200;

}  // namespace

HttpVerdict JudgeHttpCode(long code) {
  if (code / 100 == 2) return HttpVerdict::kTaken;
  if (code == 408 || code == 425 || code == 429) return HttpVerdict::kAgain;
  if (code / 100 == 5 && code != 501 && code != 505) return HttpVerdict::kAgain;
  return HttpVerdict::kRefused;
}

HttpVerdict JudgeHttpError(const absl::Status& error) {
  return absl::IsOutOfRange(error) ? HttpVerdict::kRefused : HttpVerdict::kAgain;
}

std::optional<absl::Duration> RetryAfter(const HttpAnswer& answer, absl::Time now) {
  const auto header = std::find_if(answer.headers.begin(), answer.headers.end(),
                                   [](const auto& h) { return h.first == "retry-after"; });
  if (header == answer.headers.end()) return std::nullopt;
  uint32_t seconds = 0;
  absl::Time at;
  std::string error;
  absl::Duration wait;
  if (absl::SimpleAtoi(header->second, &seconds)) {
    wait = absl::Seconds(seconds);
  } else if (absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", header->second, &at, &error)) {
    wait = at - now;
  } else {
    return std::nullopt;
  }
  return std::clamp(wait, absl::ZeroDuration(), kMaxRetryAfter);
}

std::string HttpAnswerText(const HttpAnswer& answer) {
  std::string text = StrCat("HTTP ", answer.code);
  std::string body = answer.body.substr(0, kShownBodyBytes);
  // Whatever it is, it is to be read on one line.
  for (char& c : body) c = absl::ascii_isprint(static_cast<unsigned char>(c)) ? c : ' ';
  absl::RemoveExtraAsciiWhitespace(&body);
  if (!body.empty()) StrAppend(&text, " ", body, answer.body.size() > kShownBodyBytes ? "…" : "");
  return text;
}

}  // namespace millrace
