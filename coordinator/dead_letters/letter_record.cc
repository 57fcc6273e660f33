#include "coordinator/dead_letters/letter_record.h"

#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr int64_t kNanosAMilli = 1'000'000;

std::string FrameOf(RecordView record, const Message& message) {
  FrameBuilder builder;
  // What a record without a time was handled with.
  if (record.time_ms == kNoTime) record.time_ms = message.time_ns / kNanosAMilli;
  if (record.fields != nullptr) record.shape = builder.InternShape(*record.fields);
  builder.Add(record);
  return std::string(builder.Finish());
}

absl::StatusOr<std::string> FrameOfFramed(const Message& message, uint32_t position) {
  const auto frame = FrameView::Parse(message.payload);
  if (!frame.ok()) return frame.status();
  if (position >= frame->record_count()) {
    return absl::InvalidArgumentError("it stands for no record: a timer, or a result that was due");
  }
  auto records = frame->records();
  RecordView record;
  for (uint32_t at = 0; at <= position; ++at) {
    if (!records.Next(&record)) return records.status();
  }
  return FrameOf(record, message);
}

absl::StatusOr<std::string> FrameOfStranger(const Message& message, const JobSpec& spec,
                                            PartitionId partition) {
  const auto keys = KeyExtractor::Create(spec);
  if (!keys.ok()) return keys.status();
  const auto decoded = (*keys)->Decode(message.payload);
  if (!decoded.ok()) {
    return absl::InvalidArgumentError(StrCat("it is no record: ", ToStd(decoded.status().message())));
  }
  if (PartitionOf(decoded->record.key, spec.partitions) != partition) {
    return absl::InvalidArgumentError("its key belongs to another partition");
  }
  return FrameOf(decoded->record, message);
}

}  // namespace

absl::StatusOr<std::string> FrameOfLetter(Bus& bus, const JobRecord& job, const SegmentSpec& segment,
                                          const LetterPlace& place) {
  const auto message =
      bus.GetMessage(InputStream(job.name, place.segment, place.partition), place.offset.value());
  if (absl::IsNotFound(message.status())) {
    return absl::NotFoundError(StrCat("message ", place.offset.value(), " is not in its log any more"));
  }
  if (!message.ok()) return message.status();
  const auto header = ReadMessageHeader(message->header);
  if (!header.ok()) return header.status();
  return header->has_value() ? FrameOfFramed(*message, place.record)
                             : FrameOfStranger(*message, segment.job, place.partition);
}

}  // namespace millrace
