#include "common/pipeline/aggregate_state.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_format.h"
#include "common/pipeline/aggregate_number.h"
#include "common/pipeline/aggregate_slot.h"
#include "common/strings.h"

namespace millrace {
namespace {

using aggregate_slot::BlobLength;
using aggregate_slot::BlobLengthPlace;
using aggregate_slot::kAvgCountAt;
using aggregate_slot::kHasValue;
using aggregate_slot::kTagAt;
using aggregate_slot::Load;
using aggregate_slot::LoadNumber;
using aggregate_slot::NoSuchState;
using aggregate_slot::Store;
using aggregate_slot::StoreNumber;

constexpr double kExactDouble = 9007199254740992.0;  // 2^53

size_t FixedBytes(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kSum:
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      return 16;
    case AggregateFunction::kAvg:
      return 24;
    default:
      return 8;
  }
}

bool IsNumber(const PackToken& token) {
  return token.type == PackToken::Type::kInt || token.type == PackToken::Type::kDouble ||
         token.type == PackToken::Type::kUint;
}
bool IsNan(const PackToken& token) {
  return token.type == PackToken::Type::kDouble && std::isnan(token.real);
}

constexpr size_t kShownBytes = 40;  // of a value, in a message

std::string Describe(const PackToken& token) {
  switch (token.type) {
    case PackToken::Type::kNil:
      return "null";
    case PackToken::Type::kBool:
      return token.boolean ? "true" : "false";
    case PackToken::Type::kInt:
      return StrCat("the number ", token.integer);
    case PackToken::Type::kUint:
      return StrCat("the number ", token.unsigned_integer);
    case PackToken::Type::kDouble:
      return std::isnan(token.real) ? "not-a-number" : StrCat("the number ", token.real);
    case PackToken::Type::kString:
      return StrCat("the string \"", Shorten(token.text, kShownBytes),
                    token.text.size() > kShownBytes ? "…\"" : "\"");
    case PackToken::Type::kBinary:
      return "bytes";
    case PackToken::Type::kArray:
      return "a list";
    case PackToken::Type::kMap:
      return "an object";
  }
  return "something else";
}

absl::Status WrongKind(std::string_view label, std::string_view needed, const PackToken& token) {
  return absl::InvalidArgumentError(StrCat(label, " needs ", needed, ", found ", Describe(token)));
}

absl::Status ApplySum(std::string_view label, const AggregateInput& input, char* place) {
  if (!IsNumber(input.token) || IsNan(input.token)) return WrongKind(label, "a number", input.token);
  AggregateNumber sum = LoadNumber(place);
  if (sum.tag == NumberTag::kNone) sum = AggregateNumber::OfInt(0);
  if (!AddTo(&sum, AggregateNumber::Of(input.token))) {
    return absl::InvalidArgumentError(StrCat("overflow: ", label, " leaves 64 bits: at ", sum.as_int(),
                                             ", adding ", Describe(input.token).substr(11)));
  }
  StoreNumber(place, sum);
  return absl::OkStatus();
}

// `blob` is the string kept so far, when there is one.
absl::Status ApplyExtreme(std::string_view label, const AggregateInput& input, bool least, char* place,
                          std::string_view* blob) {
  const NumberTag kept = static_cast<NumberTag>(place[kTagAt]);
  if (input.token.type == PackToken::Type::kString) {
    if (kept != NumberTag::kNone && kept != NumberTag::kString) {
      return WrongKind(label, "a number, as before", input.token);
    }
    const bool better = least ? input.token.text < *blob : input.token.text > *blob;
    if (kept == NumberTag::kString && !better) return absl::OkStatus();
    place[kTagAt] = static_cast<char>(NumberTag::kString);
    *blob = input.token.text;
    return absl::OkStatus();
  }
  if (!IsNumber(input.token) || IsNan(input.token)) {
    return WrongKind(label, "a number or a string", input.token);
  }
  if (kept == NumberTag::kString) return WrongKind(label, "a string, as before", input.token);
  const AggregateNumber value = AggregateNumber::Of(input.token);
  const AggregateNumber old = LoadNumber(place);
  if (kept == NumberTag::kNone || (least ? IsLess(value, old) : IsLess(old, value)))
    StoreNumber(place, value);
  return absl::OkStatus();
}

}  // namespace

AggregateLayout::AggregateLayout(const std::vector<AggregateColumn>& columns) {
  for (const AggregateColumn& column : columns) {
    columns_.push_back({column.function,
                        StrCat(AggregateFunctionName(column.function), "(", column.path, ")"), fixed_bytes_});
    fixed_bytes_ += FixedBytes(column.function);
    switch (column.function) {
      case AggregateFunction::kMin:
      case AggregateFunction::kMax:
        has_blobs_ = can_fail_ = true;
        break;
      case AggregateFunction::kFirst:
      case AggregateFunction::kLast:
        has_blobs_ = true;
        break;
      case AggregateFunction::kSum:
      case AggregateFunction::kAvg:
      case AggregateFunction::kDistinct:
        can_fail_ = true;
        break;
      case AggregateFunction::kCount:
        break;
    }
  }
}

absl::Status AggregateLayout::ApplyFixed(const Column& column, const AggregateInput& input,
                                         bool is_new_member, char* place, std::string_view* blob) const {
  switch (column.function) {
    case AggregateFunction::kCount:
      Store(place, Load<int64_t>(place) + 1);
      return absl::OkStatus();
    case AggregateFunction::kSum:
      return ApplySum(column.label, input, place);
    case AggregateFunction::kAvg: {
      absl::Status status = ApplySum(column.label, input, place);
      if (status.ok()) Store(place + kAvgCountAt, Load<int64_t>(place + kAvgCountAt) + 1);
      return status;
    }
    case AggregateFunction::kMin:
      return ApplyExtreme(column.label, input, /*least=*/true, place, blob);
    case AggregateFunction::kMax:
      return ApplyExtreme(column.label, input, /*least=*/false, place, blob);
    case AggregateFunction::kFirst:
      if (place[0] == kHasValue) return absl::OkStatus();
      [[fallthrough]];
    case AggregateFunction::kLast:
      place[0] = kHasValue;
      *blob = input.bytes;
      return absl::OkStatus();
    case AggregateFunction::kDistinct:
      if (!is_new_member) return absl::OkStatus();
      if (Load<int64_t>(place) >= kMaxDistinct) {
        return absl::InvalidArgumentError(
            StrCat(column.label, " counts at most ", kMaxDistinct, " different values a key"));
      }
      Store(place, Load<int64_t>(place) + 1);
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status AggregateLayout::Apply(std::string_view current, absl::Span<const AggregateInput* const> inputs,
                                    absl::Span<const uint8_t> is_new_member, std::string* next) const {
  if (current.empty()) {
    next->assign(fixed_bytes_, '\0');
  } else if (current.size() < fixed_bytes_ || (!has_blobs_ && current.size() != fixed_bytes_)) {
    return NoSuchState();
  } else {
    next->assign(current.substr(0, fixed_bytes_));
  }
  std::string_view blobs = current.substr(current.empty() ? 0 : fixed_bytes_);
  absl::InlinedVector<std::string_view, 8> kept;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    char* const place = next->data() + column.at;
    std::string_view blob;
    if (has_blobs_) {
      const size_t length = BlobLength(column.function, place);
      if (length > blobs.size()) return NoSuchState();
      blob = blobs.substr(0, length);
      blobs.remove_prefix(length);
    }
    if (inputs[i]->present) {
      if (absl::Status status = ApplyFixed(column, *inputs[i], is_new_member[i] != 0, place, &blob);
          !status.ok()) {
        return status;
      }
    }
    if (has_blobs_) {
      if (char* const length = BlobLengthPlace(column.function, place)) {
        Store(length, static_cast<uint32_t>(blob.size()));
      }
      kept.push_back(blob);
    }
  }
  for (const std::string_view blob : kept) next->append(blob);
  return absl::OkStatus();
}

absl::Status AggregateLayout::AppendRow(std::string_view state, std::string* row) const {
  if (state.size() < fixed_bytes_) return NoSuchState();
  PackWriter out(row);
  std::string_view blobs = state.substr(fixed_bytes_);
  for (const Column& column : columns_) {
    const char* const place = state.data() + column.at;
    const size_t length = BlobLength(column.function, place);
    if (length > blobs.size()) return NoSuchState();
    const std::string_view blob = blobs.substr(0, length);
    blobs.remove_prefix(length);
    switch (column.function) {
      case AggregateFunction::kCount:
      case AggregateFunction::kDistinct:
        out.Int(Load<int64_t>(place));
        break;
      case AggregateFunction::kSum: {
        const AggregateNumber sum = LoadNumber(place);
        WriteNumber(sum.tag == NumberTag::kNone ? AggregateNumber::OfInt(0) : sum, &out);
        break;
      }
      case AggregateFunction::kAvg: {
        const int64_t count = Load<int64_t>(place + kAvgCountAt);
        count == 0 ? out.Nil() : out.Double(LoadNumber(place).as_double() / static_cast<double>(count));
        break;
      }
      case AggregateFunction::kMin:
      case AggregateFunction::kMax:
        place[kTagAt] == static_cast<char>(NumberTag::kString) ? out.String(blob)
                                                               : WriteNumber(LoadNumber(place), &out);
        break;
      case AggregateFunction::kFirst:
      case AggregateFunction::kLast:
        place[0] == kHasValue ? static_cast<void>(row->append(blob)) : out.Nil();
        break;
    }
  }
  return absl::OkStatus();
}

std::string_view DistinctMember(const AggregateInput& input, std::string* scratch) {
  const PackToken& token = input.token;
  if (token.type != PackToken::Type::kDouble || std::abs(token.real) > kExactDouble ||
      token.real != std::trunc(token.real)) {
    return input.bytes;
  }
  scratch->clear();
  PackWriter(scratch).Int(static_cast<int64_t>(token.real));
  return *scratch;
}

}  // namespace millrace
