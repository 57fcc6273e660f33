#include "common/pipeline/event_time.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr double kFirstMilliseconds = 1e11;  // epoch seconds reach it in the year 5138
constexpr int64_t kMsPerSecond = 1000;
constexpr int64_t kMsPerDay = 86'400'000;

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, after Howard Hinnant,
// "chrono-Compatible Low-Level Date Algorithms".
constexpr int64_t DaysFromCivil(int year, int month, int day) {
  const int y = year - (month <= 2 ? 1 : 0);
  const int era = (y >= 0 ? y : y - 399) / 400;
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return int64_t{era} * 146097 + day_of_era - 719468;
}

constexpr int DaysInMonth(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

struct Civil {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, ms = 0;
  int offset_minutes = 0;

  std::optional<int64_t> ToMs() const {
    if (month < 1 || month > 12 || day < 1 || day > DaysInMonth(year, month)) return std::nullopt;
    if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
    const int64_t in_day = (hour * 60 + minute - offset_minutes) * int64_t{60} + second;
    return DaysFromCivil(year, month, day) * kMsPerDay + in_day * kMsPerSecond + ms;
  }
};

// Up to `most` digits, at least `least`.
bool ReadDigits(std::string_view* text, size_t least, size_t most, int* value) {
  size_t n = 0;
  int v = 0;
  while (n < most && n < text->size() && absl::ascii_isdigit(static_cast<unsigned char>((*text)[n]))) {
    v = v * 10 + ((*text)[n++] - '0');
  }
  if (n < least) return false;
  text->remove_prefix(n);
  *value = v;
  return true;
}

bool ReadFraction(std::string_view* text, int* ms) {
  size_t n = 0;
  int v = 0;
  for (; n < text->size() && absl::ascii_isdigit(static_cast<unsigned char>((*text)[n])); ++n) {
    if (n < 3) v = v * 10 + ((*text)[n] - '0');
  }
  if (n == 0) return false;
  for (size_t missing = n; missing < 3; ++missing) v *= 10;
  text->remove_prefix(n);
  *ms = v;
  return true;
}

// Z, +hh, +hhmm or +hh:mm.
bool ReadZone(std::string_view* text, int* offset_minutes) {
  if (text->empty()) return false;
  const char sign = text->front();
  text->remove_prefix(1);
  if (sign == 'Z' || sign == 'z') return true;
  int hours = 0, minutes = 0;
  if ((sign != '+' && sign != '-') || !ReadDigits(text, 2, 2, &hours)) return false;
  const bool colon = !text->empty() && text->front() == ':';
  if (colon) text->remove_prefix(1);
  if (!ReadDigits(text, 2, 2, &minutes) && colon) return false;
  if (hours > 23 || minutes > 59) return false;
  *offset_minutes = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
  return true;
}

std::optional<int64_t> ParseAbseil(const std::string& format, std::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(format, ToAbsl(text), absl::UTCTimeZone(), &time, &error)) return std::nullopt;
  if (time == absl::InfiniteFuture() || time == absl::InfinitePast()) return std::nullopt;
  return absl::ToUnixMillis(time);
}

std::optional<int64_t> ParseEpoch(std::string_view text) {
  int64_t integer = 0;
  const char* end = text.data() + text.size();
  if (const auto [p, e] = std::from_chars(text.data(), end, integer); e == std::errc() && p == end) {
    if (std::abs(static_cast<double>(integer)) > kFirstMilliseconds) return integer;
    return integer * kMsPerSecond;
  }
  double real = 0;
  const auto [p, e] = std::from_chars(text.data(), end, real);
  if (e != std::errc() || p != end || !std::isfinite(real)) return std::nullopt;
  const double ms = std::floor(std::abs(real) > kFirstMilliseconds ? real : real * kMsPerSecond);
  if (std::abs(ms) > 9e18) return std::nullopt;
  return static_cast<int64_t>(ms);
}

}  // namespace

absl::StatusOr<TimeParser> TimeParser::Create(std::string_view format) {
  TimeParser parser;
  if (format.empty()) return parser;
  parser.format_ = absl::StrReplaceAll(
      ToAbsl(format),
      {{"%%", "%%"}, {"%S.%f", "%E*S"}, {"%T", "%H:%M:%S"}, {"%F", "%Y-%m-%d"}, {"%R", "%H:%M"}});
  // A format is fit when a time that was written with it can be read with it.
  const std::string sample =
      absl::FormatTime(parser.format_, absl::FromUnixSeconds(978'336'600), absl::UTCTimeZone());
  if (sample == parser.format_ || !ParseAbseil(parser.format_, sample).has_value()) {
    return absl::InvalidArgumentError(StrCat("time format `", format,
                                             "` cannot be read back — use %Y %m %d %H %M %S and the "
                                             "like, such as '%Y-%m-%d %H:%M:%S'"));
  }
  parser.program_ = Compile(parser.format_);
  return parser;
}

std::vector<TimeParser::Op> TimeParser::Compile(std::string_view format) {
  std::vector<Op> program;
  while (!format.empty()) {
    const char c = format.front();
    format.remove_prefix(1);
    if (c != '%') {
      // A blank in a format stands for any run of blanks; the program reads one, absl the rest.
      program.push_back({Field::kLiteral, c});
      continue;
    }
    const char spec = format.empty() ? '\0' : format.front();
    if (!format.empty()) format.remove_prefix(1);
    switch (spec) {
      case 'Y':
        program.push_back({Field::kYear});
        break;
      case 'm':
        program.push_back({Field::kMonth});
        break;
      case 'd':
        program.push_back({Field::kDay});
        break;
      case 'H':
        program.push_back({Field::kHour});
        break;
      case 'M':
        program.push_back({Field::kMinute});
        break;
      case 'S':
        program.push_back({Field::kSecond});
        break;
      case 'z':
        program.push_back({Field::kZone});
        break;
      case '%':
        program.push_back({Field::kLiteral, '%'});
        break;
      case 'E':
        if (format.starts_with("*S")) {
          program.push_back({Field::kSecond});
          program.push_back({Field::kFraction});
          format.remove_prefix(2);
          break;
        }
        if (format.starts_with("z")) {
          program.push_back({Field::kZone});
          format.remove_prefix(1);
          break;
        }
        return {};
      default:
        return {};
    }
  }
  return program;
}

std::optional<int64_t> TimeParser::Run(const std::vector<Op>& program, std::string_view text) {
  Civil civil;
  for (const Op& op : program) {
    bool read = false;
    switch (op.field) {
      case Field::kYear:
        read = ReadDigits(&text, 4, 4, &civil.year);
        break;
      case Field::kMonth:
        read = ReadDigits(&text, 1, 2, &civil.month);
        break;
      case Field::kDay:
        read = ReadDigits(&text, 1, 2, &civil.day);
        break;
      case Field::kHour:
        read = ReadDigits(&text, 1, 2, &civil.hour);
        break;
      case Field::kMinute:
        read = ReadDigits(&text, 1, 2, &civil.minute);
        break;
      case Field::kSecond:
        read = ReadDigits(&text, 1, 2, &civil.second);
        break;
      case Field::kZone:
        read = ReadZone(&text, &civil.offset_minutes);
        break;
      case Field::kFraction:
        read = true;
        if (!text.empty() && text.front() == '.') {
          text.remove_prefix(1);
          read = ReadFraction(&text, &civil.ms);
        }
        break;
      case Field::kLiteral:
        read = !text.empty() && text.front() == op.literal;
        if (read) text.remove_prefix(1);
        break;
    }
    if (!read) return std::nullopt;
  }
  if (!text.empty()) return std::nullopt;
  return civil.ToMs();
}

std::optional<int64_t> TimeParser::ParseStandard(std::string_view text) const {
  // A date starts with four digits and a dash; what else starts with a digit or a sign is a number.
  if (text.size() < 10 || text[4] != '-') return ParseEpoch(text);
  static const std::vector<Op>* const kDate = new std::vector<Op>(Compile("%Y-%m-%d"));
  static const std::vector<Op>* const kDateTime = new std::vector<Op>(Compile("%Y-%m-%dT%H:%M:%E*S"));
  static const std::vector<Op>* const kZoned = new std::vector<Op>(Compile("%Y-%m-%dT%H:%M:%E*S%z"));
  if (text.size() == 10) return Run(*kDate, text);
  const char separator = text[10];
  if (separator == ' ' || separator == 't') {  // RFC 3339, section 5.6, allows both
    std::string with_t(text);
    with_t[10] = 'T';
    return ParseStandard(with_t);
  }
  if (const auto zoned = Run(*kZoned, text); zoned.has_value()) return zoned;
  return Run(*kDateTime, text);
}

std::optional<int64_t> TimeParser::Parse(std::string_view text) const {
  if (format_.empty()) return ParseStandard(text);
  if (!program_.empty()) {
    if (const auto fast = Run(program_, text); fast.has_value()) return fast;
  }
  return ParseAbseil(format_, text);
}

std::string FormatTime(int64_t time_ms) {
  const absl::Time time = absl::FromUnixMillis(time_ms);
  const bool whole = time_ms % kMsPerSecond == 0;
  return absl::FormatTime(whole ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

}  // namespace millrace
