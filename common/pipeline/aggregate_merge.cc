// Two aggregates of one key become one: sessions that a record has joined.
#include "absl/container/inlined_vector.h"
#include "common/pipeline/aggregate_slot.h"
#include "common/pipeline/aggregate_state.h"
#include "common/strings.h"

namespace millrace {
namespace {

using aggregate_slot::BlobLength;
using aggregate_slot::BlobLengthPlace;
using aggregate_slot::kAvgCountAt;
using aggregate_slot::Load;
using aggregate_slot::LoadNumber;
using aggregate_slot::Store;
using aggregate_slot::StoreNumber;

// `place` takes in what lies at `other`.
absl::Status MergeSum(std::string_view label, const char* other, char* place) {
  const AggregateNumber added = LoadNumber(other);
  if (added.tag == NumberTag::kNone) return absl::OkStatus();
  AggregateNumber sum = LoadNumber(place);
  if (sum.tag == NumberTag::kNone) sum = AggregateNumber::OfInt(0);
  if (!AddTo(&sum, added)) {
    return absl::InvalidArgumentError(StrCat("overflow: ", label, " leaves 64 bits: at ", sum.as_int(),
                                             ", adding ", added.as_int(),
                                             " of the session that the record joins to this one"));
  }
  StoreNumber(place, sum);
  return absl::OkStatus();
}

absl::Status MergeExtreme(std::string_view label, bool least, const char* other, std::string_view other_blob,
                          char* place, std::string_view* blob) {
  const AggregateNumber theirs = LoadNumber(other);
  const AggregateNumber ours = LoadNumber(place);
  if (theirs.tag == NumberTag::kNone) return absl::OkStatus();
  if (ours.tag != NumberTag::kNone) {
    if ((ours.tag == NumberTag::kString) != (theirs.tag == NumberTag::kString)) {
      return absl::InvalidArgumentError(StrCat(
          label, " has numbers in one and strings in the other of the sessions that the record joins"));
    }
    const bool is_string = theirs.tag == NumberTag::kString;
    const bool better = is_string ? (least ? other_blob < *blob : other_blob > *blob)
                                  : (least ? IsLess(theirs, ours) : IsLess(ours, theirs));
    if (!better) return absl::OkStatus();
  }
  StoreNumber(place, theirs);
  *blob = other_blob;
  return absl::OkStatus();
}

}  // namespace

absl::Status AggregateLayout::MergeColumn(const Column& column, const AggregateMerge& merge, size_t index,
                                          const char* other, std::string_view other_blob, char* place,
                                          std::string_view* blob) const {
  switch (column.function) {
    case AggregateFunction::kCount:
      Store(place, Load<int64_t>(place) + Load<int64_t>(other));
      return absl::OkStatus();
    case AggregateFunction::kSum:
      return MergeSum(column.label, other, place);
    case AggregateFunction::kAvg:
      Store(place + kAvgCountAt, Load<int64_t>(place + kAvgCountAt) + Load<int64_t>(other + kAvgCountAt));
      return MergeSum(column.label, other, place);
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      return MergeExtreme(column.label, column.function == AggregateFunction::kMin, other, other_blob, place,
                          blob);
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      if (merge.takes_second[index] == 0) return absl::OkStatus();
      place[0] = other[0];
      *blob = other_blob;
      return absl::OkStatus();
    case AggregateFunction::kDistinct: {
      const int64_t count = Load<int64_t>(place) + merge.new_members[index];
      if (count > kMaxDistinct) {
        return absl::InvalidArgumentError(
            StrCat(column.label, " counts at most ", kMaxDistinct, " different values a key"));
      }
      Store(place, count);
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::Status AggregateLayout::Merge(const AggregateMerge& merge, std::string* next) const {
  if (merge.first.size() < fixed_bytes_ || merge.second.size() < fixed_bytes_) {
    return aggregate_slot::NoSuchState();
  }
  next->assign(merge.first.substr(0, fixed_bytes_));
  std::string_view blobs = merge.first.substr(fixed_bytes_);
  std::string_view other_blobs = merge.second.substr(fixed_bytes_);
  absl::InlinedVector<std::string_view, 8> kept;
  const auto take = [](std::string_view* from, size_t length) {
    const std::string_view taken = from->substr(0, length);
    from->remove_prefix(taken.size());
    return taken;
  };
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    char* const place = next->data() + column.at;
    const char* const other = merge.second.data() + column.at;
    const size_t length = BlobLength(column.function, place);
    const size_t other_length = BlobLength(column.function, other);
    if (length > blobs.size() || other_length > other_blobs.size()) return aggregate_slot::NoSuchState();
    std::string_view blob = take(&blobs, length);
    const std::string_view other_blob = take(&other_blobs, other_length);
    absl::Status merged = MergeColumn(column, merge, i, other, other_blob, place, &blob);
    if (!merged.ok()) return merged;
    if (char* const noted = BlobLengthPlace(column.function, place)) {
      Store(noted, static_cast<uint32_t>(blob.size()));
    }
    kept.push_back(blob);
  }
  for (const std::string_view blob : kept) next->append(blob);
  return absl::OkStatus();
}

}  // namespace millrace
