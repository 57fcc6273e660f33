#include "common/pipeline/held_sink.h"

namespace millrace {

void HeldSink::Emit(const RecordView& record) {
  outputs_.push_back({record, bytes_.size()});
  bytes_.append(record.key);
  bytes_.append(record.value);
  bytes_.append(record.raw_headers);
}

void HeldSink::Reject(const DeadLetter& letter) {
  letters_.push_back({letter, std::string(letter.key), std::string(letter.value)});
}

void HeldSink::Release(StepSink& sink) {
  const std::string_view bytes = bytes_;
  for (Held& held : outputs_) {
    RecordView& record = held.record;
    const size_t value_at = held.at + record.key.size();
    const size_t headers_at = value_at + record.value.size();
    record.key = bytes.substr(held.at, record.key.size());
    record.value = bytes.substr(value_at, record.value.size());
    record.raw_headers = bytes.substr(headers_at, record.raw_headers.size());
    sink.Emit(record);
  }
  for (HeldLetter& held : letters_) {
    held.letter.key = held.key;
    held.letter.value = held.value;
    sink.Reject(held.letter);
  }
  Drop();
}

void HeldSink::Drop() {
  bytes_.clear();
  outputs_.clear();
  letters_.clear();
}

}  // namespace millrace
