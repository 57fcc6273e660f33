#include "common/pipeline/handler_caller.h"

#include "common/fnv.h"
#include "common/handler/handler_values.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

void PackText(std::string_view text, PackWriter* writer) {
  IsValidUtf8(text) ? writer->String(text) : writer->Binary(text);
}

void PackHeaders(std::string_view raw_headers, PackWriter* writer) {
  const absl::StatusOr<HeaderList> headers = raw_headers.empty() ? HeaderList() : DecodeHeaders(raw_headers);
  if (!headers.ok() || headers->empty()) return writer->Nil();
  writer->Array(static_cast<uint32_t>(headers->size()));
  for (const auto& [name, value] : *headers) {
    writer->Array(2);
    PackText(name, writer);
    PackText(value, writer);
  }
}

}  // namespace

// What time makes due is named by what it is: its place among others may turn out another.
std::string HandlerCaller::Label(const StepContext& context, std::string_view key, int64_t time_ms) const {
  std::string label =
      StrCat(context.segment.value(), ".", context.partition.value(), ".", context.offset.value(), ".");
  if (context.may_pause) {
    StrAppend(&label, context.record);
  } else {
    StrAppend(&label, "t", time_ms, ".", absl::Hex(Fnv1a64(key)));
  }
  if (nth_ > 0) StrAppend(&label, ".", nth_);
  return label;
}

// As a batch has it: value, time_ms, headers, label.
void HandlerCaller::Pack(const StepContext& context, const RecordView* record, std::string_view key,
                         int64_t time_ms) {
  packed_.clear();
  PackWriter writer(&packed_);
  if (record == nullptr) {
    writer.Nil();
  } else {
    AppendCallValue(*record, &packed_);
  }
  writer.Int(time_ms == kNoTime ? context.broker_time_ms : time_ms);
  PackHeaders(record == nullptr ? std::string_view() : record->raw_headers, &writer);
  writer.String(Label(context, key, time_ms));
}

void HandlerCaller::Follow(const StepContext& context) {
  if (frame_serial_ != context.frame_serial || record_ != context.record) nth_ = 0;
  frame_serial_ = context.frame_serial;
  record_ = context.record;
}

absl::StatusOr<const CallOutcome*> HandlerCaller::Ask(const StepContext& context,
                                                      CallMemos::Request request) {
  if (calls_ == nullptr) {
    return absl::FailedPreconditionError("the stage's code runs elsewhere, and nobody is asked here");
  }
  request.stage = stage_;
  request.segment = context.segment;
  request.partition = context.partition;
  request.offset = context.offset;
  request.record = context.record;
  request.nth = nth_++;
  request.ending = context.ending;
  return calls_->Ask(request);
}

absl::StatusOr<const CallOutcome*> HandlerCaller::Call(const StepContext& context, const RecordView* record,
                                                       std::string_view key, int64_t time_ms,
                                                       std::string_view state) {
  Follow(context);
  Pack(context, record, key, time_ms);
  CallMemos::Request request;
  request.is_timer = record == nullptr;
  request.key = key;
  request.packed = packed_;
  request.state = state;
  return Ask(context, request);
}

std::string HandlerCaller::NextLabel(const StepContext& context, std::string_view key, int64_t time_ms) {
  Follow(context);
  return Label(context, key, time_ms);
}

absl::StatusOr<const CallOutcome*> HandlerCaller::CallWith(const StepContext& context, std::string_view key,
                                                           std::string_view packed) {
  Follow(context);
  CallMemos::Request request;
  request.key = key;
  request.packed = packed;
  return Ask(context, request);
}

}  // namespace millrace
