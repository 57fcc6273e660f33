#include "coordinator/ingest/added_input.h"

#include <algorithm>

#include "common/strings.h"

namespace millrace {
namespace {

bool SameContent(const std::vector<InputFile>& a, const std::vector<InputFile>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const InputFile& x, const InputFile& y) {
    return x.bytes == y.bytes && x.digest == y.digest;
  });
}

// As it stands at that number, whoever made it.
absl::StatusOr<InputAdded> FindOrMake(Bus& bus, const std::string& key, const InputAdded& added) {
  absl::StatusOr<KeyValue> there = bus.GetKey(kAssignmentsBucket, key);
  if (absl::IsNotFound(there.status())) {
    const absl::Status made = bus.CreateKey(kAssignmentsBucket, key, Encode(added)).status();
    if (made.ok()) return added;
    if (!absl::IsAlreadyExists(made)) return made;
    there = bus.GetKey(kAssignmentsBucket, key);
  }
  if (!there.ok()) return there.status();
  return DecodeInputAdded(there->value);
}

}  // namespace

absl::StatusOr<uint32_t> NumberAddedInput(Bus& bus, const std::string& job, const std::string& uid,
                                          const InputAdded& added) {
  for (uint32_t number = 1; number <= kMaxAddedInputs; ++number) {
    const absl::StatusOr<InputAdded> there = FindOrMake(bus, AddedKey(uid, number), added);
    if (!there.ok()) return there.status();
    if (SameContent(there->inputs, added.inputs)) return number;
  }
  return absl::ResourceExhaustedError(
      StrCat("job ", job, " was given ", kMaxAddedInputs,
             " inputs beside its source, the most that it keeps account of — publish these records to its "
             "source, or submit it anew with --name"));
}

absl::StatusOr<std::optional<InputFed>> FindFed(Bus& bus, const std::string& uid, std::string_view writer) {
  const absl::StatusOr<KeyValue> there = bus.GetKey(kAssignmentsBucket, FedKey(uid, writer));
  if (absl::IsNotFound(there.status())) return std::nullopt;
  if (!there.ok()) return there.status();
  const absl::StatusOr<InputFed> fed = DecodeInputFed(there->value);
  if (!fed.ok()) return fed.status();
  return std::optional<InputFed>(*fed);
}

absl::Status CheckFedInput(InputReader& input, const InputFed& fed, Clock& clock,
                           const std::function<absl::Status()>& keep_waiting) {
  const std::vector<InputFile> inputs = input.Identities();
  const auto is_pipe = [](const InputFile& file) { return file.bytes == 0; };
  if (fed.end.position == 0 || std::none_of(inputs.begin(), inputs.end(), is_pipe)) return absl::OkStatus();
  input.Expect({fed.end});
  input.StartAt(fed.end.position);
  InputLine line;
  absl::StatusOr<RecordInput::Event> event = input.Next(&line);
  while (event.ok() && *event == RecordInput::Event::kNotReady) {
    if (const absl::Status waits = keep_waiting(); !waits.ok()) return waits;
    clock.Sleep(kPipeWait);
    event = input.Next(&line);
  }
  if (event.ok() && *event == RecordInput::Event::kEnd) return absl::OkStatus();
  if (!event.ok() && !absl::IsFailedPrecondition(event.status())) return event.status();
  return absl::FailedPreconditionError(
      "the input begins as one that was added before, and is another — a pipe is told from others by its "
      "first "
      "line — write it to a file and add that");
}

}  // namespace millrace
