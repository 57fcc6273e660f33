#include "common/job/error_policy_parser.h"

namespace millrace {
namespace {

constexpr int64_t kMaxAttempts = 100;
constexpr absl::Duration kMaxBackoff = absl::Hours(1);
constexpr std::string_view kPolicyExample = "retry: { attempts: 3, backoff: 100ms..10s }";

// `100ms..10s`, or one duration for every pause.
BackoffSpec ParseBackoff(const YamlNode& value, YamlReader* reader) {
  const absl::Duration least = absl::Milliseconds(1);
  YamlNode initial = value, maximum = value;
  const size_t dots = value.text.find("..");
  if (value.IsScalar() && dots != std::string::npos) {
    initial.text = value.text.substr(0, dots);
    maximum.text = value.text.substr(dots + 2);
  }
  BackoffSpec backoff;
  backoff.initial = reader->Duration(initial, "backoff", least, kMaxBackoff, kPolicyExample);
  backoff.maximum = reader->Duration(maximum, "backoff", least, kMaxBackoff, kPolicyExample);
  if (backoff.initial > backoff.maximum) {
    reader->FailValue(value, "backoff", "the shortest pause first, the longest behind the dots",
                      kPolicyExample);
  }
  return backoff;
}

}  // namespace

RetrySpec ParseRetry(const YamlNode& value, YamlReader* reader) {
  RetrySpec retry;
  retry.attempts = kDefaultRetryAttempts;
  if (!reader->Mapping(value, "retry", kPolicyExample)) return retry;
  reader->CheckKeys(value, "`retry`", {"attempts", "backoff"});
  if (const YamlNode* attempts = value.Find("attempts")) {
    retry.attempts =
        static_cast<int>(reader->Integer(*attempts, "attempts", 1, kMaxAttempts, kPolicyExample));
  }
  if (const YamlNode* backoff = value.Find("backoff")) retry.backoff = ParseBackoff(*backoff, reader);
  return retry;
}

std::optional<ErrorPolicy> ParseErrorPolicy(const YamlNode& owner, YamlReader* reader) {
  const YamlNode* on_error = owner.Find("on_error");
  const YamlNode* retry = owner.Find("retry");
  if (on_error == nullptr && retry == nullptr) return std::nullopt;
  ErrorPolicy policy;
  policy.on_error = OnError::kRetry;
  if (on_error != nullptr) {
    policy.on_error = reader->Choice<OnError>(*on_error, "on_error",
                                              {{"dead_letter", OnError::kDeadLetter},
                                               {"skip", OnError::kSkip},
                                               {"fail", OnError::kFail},
                                               {"retry", OnError::kRetry}});
  }
  if (retry != nullptr) {
    policy.retry = ParseRetry(*retry, reader);
    if (policy.on_error != OnError::kRetry) {
      reader->Fail(*on_error, "`retry` beside another `on_error`",
                   "attempts only count with `on_error: retry`", "leave one of the two out");
    }
  } else if (policy.on_error == OnError::kRetry) {
    policy.retry.attempts = kDefaultRetryAttempts;
  }
  return policy;
}

}  // namespace millrace
