#include "coordinator/dead_letters/dead_letter_reader.h"

#include "common/names.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {

LetterJson DeadLetterFilter::Take(const Message& message) {
  LetterJson letter = LetterJson::parse(message.payload, nullptr, /*allow_exceptions=*/false);
  if (!letter.is_object()) return nullptr;
  const auto id = letter.find("id");
  const auto uid = letter.find("uid");
  if (id == letter.end() || !id->is_string() || uid == letter.end() || *uid != uid_) return nullptr;
  if (!seen_.insert(id->get<std::string>()).second) return nullptr;
  return letter;
}

absl::StatusOr<uint64_t> LastLetter(Bus& bus, const std::string& job) {
  // Not the stream's last sequence: that of a letter that was deleted singly would be waited for in vain.
  const auto last = bus.GetLastMessage(DeadLetterStream(job), DeadLetterSubjects(job));
  if (absl::IsNotFound(last.status())) return 0;
  if (!last.ok()) return last.status();
  return last->sequence;
}

absl::Status ReadDeadLetters(Bus& bus, Clock& clock, const JobRecord& job,
                             const std::function<absl::Status(const LetterJson&)>& visit) {
  const std::string name = DeadLetterStream(job.name);
  const auto last = LastLetter(bus, job.name);
  if (!last.ok()) return last.status();
  if (*last == 0) return absl::OkStatus();
  StreamSet streams(bus, clock);
  const auto stream = streams.Open({name, 1, *last, /*allow_gaps=*/true});
  DeadLetterFilter filter(job.uid);
  while (true) {
    const auto message = streams.Next(stream);
    if (!message.ok()) return message.status();
    if (!message->has_value()) return absl::OkStatus();
    const LetterJson letter = filter.Take(**message);
    if (letter.is_null()) continue;
    if (const absl::Status status = visit(letter); !status.ok()) return status;
  }
}

}  // namespace millrace
