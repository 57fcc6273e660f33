#include "coordinator/dead_letters/dead_letter_reader.h"

#include "common/names.h"
#include "common/strings.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {

LetterJson DeadLetterFilter::Take(const Message& message) {
  LetterJson letter = LetterJson::parse(message.payload, nullptr, /*allow_exceptions=*/false);
  if (!letter.is_object()) return nullptr;
  const auto id = letter.find("id");
  const auto uid = letter.find("uid");
  if (uid == letter.end() || *uid != uid_ || TakeLetterMark(letter, &marks_)) return nullptr;
  if (id == letter.end() || !id->is_string()) return nullptr;
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

absl::StatusOr<LetterMarks> ReadDeadLetters(Bus& bus, Clock& clock, const JobRecord& job,
                                            const std::function<absl::Status(const LetterJson&)>& visit) {
  const std::string name = DeadLetterStream(job.name);
  const auto last = LastLetter(bus, job.name);
  if (!last.ok()) return last.status();
  DeadLetterFilter filter(job.uid);
  if (*last == 0) return filter.marks();
  StreamSet streams(bus, clock);
  const auto stream = streams.Open({name, 1, *last, /*headers_only=*/false, /*allow_gaps=*/true});
  while (true) {
    const auto message = streams.Next(stream);
    if (!message.ok()) return message.status();
    if (!message->has_value()) break;
    const LetterJson letter = filter.Take(**message);
    if (letter.is_null()) continue;
    if (const absl::Status status = visit(letter); !status.ok()) return status;
  }
  LetterMarks marks = filter.marks();
  marks.as_of = *last;
  return marks;
}

absl::Status NoSuchLetter(const JobRecord& job, const std::string& id) {
  return absl::NotFoundError(StrCat("no dead letter ", id, " in `", job.name,
                                    "` — ids are those of the list — try `coordinator dead-letters list ",
                                    job.name, "`"));
}

absl::StatusOr<std::vector<LetterJson>> ListDeadLetters(Bus& bus, Clock& clock, const JobRecord& job) {
  std::vector<LetterJson> letters;
  const auto marks = ReadDeadLetters(bus, clock, job, [&](const LetterJson& letter) {
    letters.push_back(letter);
    return absl::OkStatus();
  });
  if (!marks.ok()) return marks.status();
  std::erase_if(letters, [&](const LetterJson& letter) {
    return marks->purged.contains(letter["id"].get_ref<const std::string&>());
  });
  for (LetterJson& letter : letters) {
    const auto retried = marks->retried.find(letter["id"].get_ref<const std::string&>());
    letter["retried_offset"] = retried == marks->retried.end() ? LetterJson() : LetterJson(retried->second);
  }
  return letters;
}

}  // namespace millrace
