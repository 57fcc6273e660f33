#include "common/units.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxNearMissLetters = 64;  // the distance costs the product of both lengths
// What absl::Duration holds exactly, and more than any clock of ours will see.
constexpr double kMaxDurationSeconds = 1e11;

struct DurationUnit {
  std::string_view name;
  absl::Duration length;
};
constexpr std::array<DurationUnit, 7> kDurationUnits = {{{"ns", absl::Nanoseconds(1)},
                                                         {"us", absl::Microseconds(1)},
                                                         {"ms", absl::Milliseconds(1)},
                                                         {"s", absl::Seconds(1)},
                                                         {"m", absl::Minutes(1)},
                                                         {"h", absl::Hours(1)},
                                                         {"d", absl::Hours(24)}}};

struct SizeUnit {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array<SizeUnit, 10> kSizeUnits = {{{"", 1},
                                                  {"B", 1},
                                                  {"KB", 1000},
                                                  {"MB", 1000'000},
                                                  {"GB", 1000'000'000},
                                                  {"TB", 1000'000'000'000},
                                                  {"KiB", 1ull << 10},
                                                  {"MiB", 1ull << 20},
                                                  {"GiB", 1ull << 30},
                                                  {"TiB", 1ull << 40}}};

// A number without sign or exponent, and the letters behind it.
struct Quantity {
  std::string_view number;
  std::string_view unit;
};

Quantity TakeQuantity(std::string_view* text) {
  Quantity taken;
  size_t end = 0;
  while (end < text->size() && (absl::ascii_isdigit((*text)[end]) || (*text)[end] == '.')) ++end;
  taken.number = text->substr(0, end);
  text->remove_prefix(end);
  end = 0;
  while (end < text->size() && !absl::ascii_isdigit((*text)[end]) && (*text)[end] != '.') ++end;
  taken.unit = text->substr(0, end);
  text->remove_prefix(end);
  return taken;
}

absl::Status NoDuration(std::string_view text) {
  return absl::InvalidArgumentError(StrCat(
      "\"", text, "\" is no duration — it is a number with a unit of ns us ms s m h d — try 250ms or 1m30s"));
}

absl::Status NoSize(std::string_view text) {
  return absl::InvalidArgumentError(
      StrCat("\"", text,
             "\" is no size — it is a number with a unit of B KB MB GB TB KiB MiB GiB TiB, or bytes "
             "— try 64KiB or 2GiB"));
}

// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  absl::Duration sum;
  std::string_view rest = text;
  if (rest.empty()) return NoDuration(text);
  while (!rest.empty()) {
    const Quantity quantity = TakeQuantity(&rest);
    const auto* unit = std::find_if(kDurationUnits.begin(), kDurationUnits.end(),
                                    [&](const DurationUnit& u) { return u.name == quantity.unit; });
    if (unit == kDurationUnits.end()) return NoDuration(text);
    int64_t whole = 0;
    double number = 0;
    if (absl::SimpleAtoi(ToAbsl(quantity.number), &whole)) {
      sum += whole * unit->length;
    } else if (absl::SimpleAtod(ToAbsl(quantity.number), &number)) {
      sum += number * unit->length;
    } else {
      return NoDuration(text);
    }
  }
  if (absl::ToDoubleSeconds(sum) > kMaxDurationSeconds) {
    return absl::InvalidArgumentError(
        StrCat("\"", text, "\" is too long a duration — the most is 1000000d — try 30d"));
  }
  return sum;
}

absl::StatusOr<uint64_t> ParseSize(std::string_view text) {
  std::string_view rest = text;
  const Quantity quantity = TakeQuantity(&rest);
  const auto* unit = std::find_if(kSizeUnits.begin(), kSizeUnits.end(),
                                  [&](const SizeUnit& u) { return u.name == quantity.unit; });
  double number = 0;
  if (!rest.empty() || unit == kSizeUnits.end() || !absl::SimpleAtod(ToAbsl(quantity.number), &number)) {
    return NoSize(text);
  }
  const double bytes = number * static_cast<double>(unit->bytes);
  if (bytes >= static_cast<double>(std::numeric_limits<int64_t>::max())) {
    return absl::InvalidArgumentError(
        StrCat("\"", text, "\" is too large a size — sizes end at 8388607TiB — try a smaller one"));
  }
  uint64_t whole = 0;
  if (absl::SimpleAtoi(ToAbsl(quantity.number), &whole)) return whole * unit->bytes;
  return static_cast<uint64_t>(std::llround(bytes));
}

std::string FormatDuration(absl::Duration duration) {
  if (duration == absl::ZeroDuration()) return "0s";
  constexpr absl::Duration kDay = absl::Hours(24);
  if (duration != absl::InfiniteDuration() && duration % kDay == absl::ZeroDuration()) {
    return StrCat(duration / kDay, "d");
  }
  return absl::FormatDuration(duration);
}

std::string FormatSize(uint64_t bytes) {
  if (bytes < 1024) return StrCat(bytes, " B");
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* larger : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = larger;
  }
  return absl::StrFormat("%.1f %s", value, unit);
}

std::string NearMiss(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > kMaxNearMissLetters) return "";
  const std::string lower = absl::AsciiStrToLower(ToAbsl(word));
  std::string best;
  size_t best_distance = std::numeric_limits<size_t>::max();
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxNearMissLetters) continue;
    const size_t distance = EditDistance(lower, absl::AsciiStrToLower(candidate));
    if (distance * 3 <= std::max(word.size(), candidate.size()) && distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace millrace
