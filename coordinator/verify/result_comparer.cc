#include "coordinator/verify/result_comparer.h"

#include <algorithm>
#include <utility>

#include "common/strings.h"
#include "coordinator/results/result_line.h"

namespace millrace {
namespace {

constexpr size_t kMaxShownBytes = 200;

// Shape numbers are a frame's own; whether it is raw, packed or a row is the record's.
uint32_t FormOf(const RecordView& record) { return std::min(record.shape, kFirstRowShape); }

std::string Shown(const RecordView& record) {
  std::string text;
  AppendValueMember("value", record, &text);
  if (text.size() > kMaxShownBytes) text = StrCat(Shorten(text, kMaxShownBytes), "...");
  return text;
}

}  // namespace

void Differences::Add(std::string difference) {
  ++count_;
  if (kept_.size() < kMaxKept) kept_.push_back(std::move(difference));
}

void ResultComparer::Expect(const RecordView& record) {
  Expected& expected = expected_.emplace_back();
  expected.label = {record.offset.value(), record.index};
  expected.key = record.key;
  expected.value = record.value;
  expected.headers = record.raw_headers;
  expected.form = FormOf(record);
  expected.time_ms = record.time_ms;
  if (expected.form == kFirstRowShape && record.fields != nullptr) {
    expected.fields.assign(record.fields->begin(), record.fields->end());
  }
}

bool ResultComparer::IsInOrder(const Mark& label) {
  const Mark behind = {label.offset, label.index + 1};
  if (label < found_until_) {
    Report(label, behind == found_until_ ? "is there twice" : "comes after a later one");
    return false;
  }
  found_until_ = behind;
  return true;
}

void ResultComparer::Pass(const RecordView& record) {
  if (IsInOrder({record.offset.value(), record.index})) ++passed_;
}

void ResultComparer::Find(const RecordView& record) {
  const Mark label{record.offset.value(), record.index};
  if (!IsInOrder(label)) return;
  while (!expected_.empty() && expected_.front().label < label) {
    Report(expected_.front().label, "is missing");
    expected_.pop_front();
  }
  if (expected_.empty() || label < expected_.front().label) {
    return Report(label, StrCat("should not be: key `", record.key, "`, ", Shown(record)));
  }
  Compare(expected_.front(), record);
  expected_.pop_front();
  ++compared_;
}

void ResultComparer::Compare(const Expected& expected, const RecordView& found) {
  if (expected.key != found.key) {
    return Report(expected.label, StrCat("has key `", found.key, "`, should have `", expected.key, "`"));
  }
  const bool same_fields =
      expected.form != kFirstRowShape ||
      (found.fields != nullptr && std::equal(expected.fields.begin(), expected.fields.end(),
                                             found.fields->begin(), found.fields->end()));
  if (expected.form != FormOf(found) || !same_fields || expected.value != found.value) {
    const FieldNames fields(expected.fields.begin(), expected.fields.end());
    RecordView should;
    should.value = expected.value;
    should.shape = expected.form;
    should.fields = &fields;
    return Report(expected.label,
                  StrCat("of key `", expected.key, "` has ", Shown(found), ", should have ", Shown(should)));
  }
  if (expected.time_ms != found.time_ms) {
    return Report(expected.label, StrCat("has time ", found.time_ms, " ms, should have ", expected.time_ms));
  }
  if (expected.headers != found.raw_headers) Report(expected.label, "has other headers than it should");
}

void ResultComparer::Finish(Offset settled) {
  for (const Expected& expected : expected_) {
    if (expected.label.offset > settled.value()) {
      ++on_the_way_;
    } else {
      Report(expected.label, "is missing");
    }
  }
  expected_.clear();
}

void ResultComparer::Report(const Mark& label, const std::string& what) {
  differences_->Add(
      StrCat("partition ", partition_.value(), ", result ", label.offset, ".", label.index, " ", what));
}

}  // namespace millrace
