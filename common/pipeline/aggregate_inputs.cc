#include "common/pipeline/aggregate_inputs.h"

#include <algorithm>

#include "common/value/value.h"

namespace millrace {
namespace {

absl::Status Malformed() { return absl::InvalidArgumentError("the record's value is malformed MessagePack"); }

}  // namespace

AggregateInputs::AggregateInputs(const std::vector<AggregateColumn>& columns) {
  std::vector<size_t> input_of_column;
  for (const AggregateColumn& column : columns) {
    if (column.function == AggregateFunction::kCount) {
      input_of_column.push_back(SIZE_MAX);
      continue;
    }
    auto path =
        std::find_if(paths_.begin(), paths_.end(), [&](const Path& p) { return p.whole == column.path; });
    if (path == paths_.end()) {
      path = paths_.insert(path, {column.path, column.path.substr(0, column.path.find('.'))});
    }
    input_of_column.push_back(static_cast<size_t>(path - paths_.begin()));
  }
  inputs_.resize(paths_.size() + 1);
  inputs_.back().present = true;
  for (const size_t input : input_of_column) {
    by_column_.push_back(input == SIZE_MAX ? &inputs_.back() : &inputs_[input]);
  }
}

void AggregateInputs::Resolve(const FieldNames& fields) {
  steps_.clear();
  for (uint32_t i = 0; i < paths_.size(); ++i) {
    auto field = std::find(fields.begin(), fields.end(), paths_[i].whole);
    const bool whole = field != fields.end();
    if (!whole) field = std::find(fields.begin(), fields.end(), paths_[i].head);
    if (field != fields.end()) steps_.push_back({static_cast<uint32_t>(field - fields.begin()), i, whole});
  }
  std::sort(steps_.begin(), steps_.end(), [](const Step& a, const Step& b) { return a.field < b.field; });
}

absl::Status AggregateInputs::Read(const RecordView& record, uint64_t frame_serial) {
  if (paths_.empty()) return absl::OkStatus();
  for (size_t i = 0; i < paths_.size(); ++i) inputs_[i].present = false;
  if (record.shape < kFirstRowShape) {
    return ReadByPath(record);
  }
  if (record.fields != resolved_ || frame_serial != resolved_serial_) {
    Resolve(*record.fields);
    resolved_ = record.fields;
    resolved_serial_ = frame_serial;
  }
  return ReadRow(record);
}

absl::Status AggregateInputs::ReadRow(const RecordView& record) {
  PackReader reader(record.value);
  uint32_t at = 0;  // the field that the reader stands before
  for (size_t s = 0; s < steps_.size();) {
    const uint32_t field = steps_[s].field;
    for (; at < field; ++at) {
      if (!reader.Skip()) return Malformed();
    }
    const char* const begin = reader.position();
    // Made where it is wanted, in nearly every case: a copy right behind would wait for its parts to be
    // stored.
    PackToken& token = steps_[s].whole ? inputs_[steps_[s].input].token : token_;
    const PackReader at_begin = reader;
    if (!reader.Next(&token)) return Malformed();
    if (token.type == PackToken::Type::kArray || token.type == PackToken::Type::kMap) {
      reader = at_begin;
      if (!reader.Skip()) return Malformed();
    }
    ++at;
    const std::string_view bytes(begin, static_cast<size_t>(reader.position() - begin));
    for (; s < steps_.size() && steps_[s].field == field; ++s) {
      AggregateInput& input = inputs_[steps_[s].input];
      if (steps_[s].whole) {
        if (&input.token != &token) input.token = token;
        input.present = token.type != PackToken::Type::kNil;
        input.bytes = bytes;
        continue;
      }
      const Path& path = paths_[steps_[s].input];
      const std::string_view below = std::string_view(path.whole).substr(path.head.size() + 1);
      if (const auto found = FindField({bytes, kPackedShape, nullptr}, below)) {
        if (absl::Status status = Fill(*found, &input); !status.ok()) return status;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status AggregateInputs::ReadByPath(const RecordView& record) {
  if (record.shape == kRawShape) return absl::OkStatus();
  for (size_t i = 0; i < paths_.size(); ++i) {
    const auto found = FindField(ValueView::Of(record), paths_[i].whole);
    if (!found.has_value()) continue;
    if (absl::Status status = Fill(*found, &inputs_[i]); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AggregateInputs::Fill(std::string_view bytes, AggregateInput* input) {
  PackReader reader(bytes);
  if (!reader.Next(&input->token)) return Malformed();
  input->present = input->token.type != PackToken::Type::kNil;
  input->bytes = bytes;
  return absl::OkStatus();
}

}  // namespace millrace
