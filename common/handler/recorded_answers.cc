#include "common/handler/recorded_answers.h"

#include <utility>

#include "common/hash/sha256.h"

namespace millrace {
namespace {

constexpr size_t kDigestDigits = 32;  // 128 bits: nobody looks for a collision with himself
constexpr size_t kEntryBytes = 256;   // what an answer takes beside itself

size_t BytesOf(const std::string& answer) { return kEntryBytes + answer.size(); }

}  // namespace

std::string RequestDigest(std::string_view packed) { return Hex(Sha256Of(packed)).substr(0, kDigestDigits); }

Verdict AnswerVerdict(const std::string& stage, const HandlerCall& call, const CallOutcome& outcome) {
  Verdict verdict;
  verdict.offset = call.place.offset;
  verdict.record = call.place.record;
  verdict.reason = std::string(outcome.outputs.front().value);
  verdict.stage = stage;
  verdict.outcome = Verdict::Outcome::kAnswered;
  verdict.nth = call.nth;
  verdict.request = RequestDigest(call.packed);
  return verdict;
}

void RecordedAnswers::Add(const Verdict& verdict) {
  const auto [answer, is_new] = answers_.try_emplace(
      Id(verdict.offset.value(), verdict.record, verdict.nth, verdict.stage, verdict.request));
  if (!is_new) return;
  answer->second = std::make_shared<const std::string>(verdict.reason);
  bytes_ += BytesOf(verdict.reason);
}

std::shared_ptr<const std::string> RecordedAnswers::Find(const std::string& stage,
                                                         const HandlerCall& call) const {
  if (answers_.empty()) return nullptr;
  const auto found = answers_.find(
      Id(call.place.offset.value(), call.place.record, call.nth, stage, RequestDigest(call.packed)));
  return found == answers_.end() ? nullptr : found->second;
}

void RecordedAnswers::ForgetUpTo(Offset offset) {
  while (!answers_.empty() && std::get<0>(answers_.begin()->first) <= offset.value()) {
    bytes_ -= BytesOf(*answers_.begin()->second);
    answers_.erase(answers_.begin());
  }
}

}  // namespace millrace
