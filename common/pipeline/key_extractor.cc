#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "common/pipeline/csv_reader.h"
#include "common/pipeline/event_time.h"
#include "common/pipeline/key_text.h"
#include "common/pipeline/lua_key.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr size_t kMostShownBytes = 40;  // of a text that a message quotes

// What Create makes beforehand, because it may fail.
struct Parts {
  std::optional<TimeParser> time_parser;
  std::optional<LuaKey> lua_key;
};

// What every format shares: where the key comes from and how the time is read.
class Extractor : public KeyExtractor {
 public:
  Extractor(const JobSpec& spec, Parts parts)
      : key_(spec.key),
        lua_key_(std::move(parts.lua_key)),
        time_field_(spec.time.has_value() ? spec.time->field : ""),
        time_parser_(std::move(parts.time_parser)) {}

  absl::Status SetCsvHeader(std::string_view) override {
    return absl::FailedPreconditionError("only a csv source has a header row");
  }

  absl::StatusOr<Decoded> Decode(std::string_view line) final {
    Decoded decoded;
    if (absl::Status read = Read(line, &decoded.record); !read.ok()) return read;
    if (absl::Status taken = TakeKey(&decoded.record); !taken.ok()) return taken;
    if (time_parser_.has_value()) {
      if (absl::Status timed = TakeTime(&decoded.record); !timed.ok()) return timed;
    }
    return decoded;
  }

 protected:
  // What the job's `key` and `time` take from each record.
  std::vector<std::pair<std::string_view, std::string>> NamedFields() const {
    std::vector<std::pair<std::string_view, std::string>> named;
    for (const std::string& path : key_.paths) named.emplace_back("key", path);
    if (time_parser_.has_value()) named.emplace_back("time", time_field_);
    return named;
  }
  // Sets the record's value, shape and fields.
  virtual absl::Status Read(std::string_view line, RecordView* record) = 0;
  // A field's text as it was written; nullopt when it is missing, null or a container.
  virtual std::optional<std::string_view> Text(const std::string& path) = 0;
  // Appends the field as JSON. REQUIRES: Text gave `text` for it.
  virtual void AppendFieldJson(const std::string& path, std::string_view text, std::string* out) = 0;

 private:
  absl::Status TakeKey(RecordView* record) {
    if (key_.kind == KeySpec::Kind::kWhole) {
      record->key = record->value;
      return absl::OkStatus();
    }
    if (key_.kind == KeySpec::Kind::kField) {
      const std::optional<std::string_view> text = Text(key_.paths.front());
      if (!text.has_value()) return Missing("no key", *record, key_.paths.front());
      record->key = *text;
      return absl::OkStatus();
    }
    if (lua_key_.has_value()) {
      const absl::StatusOr<std::string_view> key = lua_key_->Take(*record);
      if (!key.ok()) return key.status();
      record->key = *key;
      return absl::OkStatus();
    }
    list_key_.assign(1, '[');
    for (const std::string& path : key_.paths) {
      const std::optional<std::string_view> text = Text(path);
      if (!text.has_value()) return Missing("no key", *record, path);
      if (list_key_.size() > 1) list_key_.push_back(',');
      AppendFieldJson(path, *text, &list_key_);
    }
    list_key_.push_back(']');
    record->key = list_key_;
    return absl::OkStatus();
  }

  absl::Status TakeTime(RecordView* record) {
    const std::optional<std::string_view> text = Text(time_field_);
    if (!text.has_value()) return Missing("no time", *record, time_field_);
    const std::optional<int64_t> time_ms = time_parser_->Parse(*text);
    if (!time_ms.has_value()) {
      return absl::InvalidArgumentError(StrCat("no time: field `", time_field_, "` holds `",
                                               Shorten(*text, kMostShownBytes),
                                               "`, which does not fit the job's time format"));
    }
    record->time_ms = *time_ms;
    return absl::OkStatus();
  }

  static absl::Status Missing(std::string_view what, const RecordView& record, std::string_view path) {
    return absl::InvalidArgumentError(
        StrCat(what, ": field `", path, "` is ", WhyNoKey(ValueView::Of(record), path),
               " — every record needs one that is neither null, a list nor an object"));
  }

  const KeySpec key_;
  std::optional<LuaKey> lua_key_;
  const std::string time_field_;
  const std::optional<TimeParser> time_parser_;
  std::string list_key_;
};

class JsonExtractor final : public Extractor {
 public:
  using Extractor::Extractor;

 protected:
  absl::Status Read(std::string_view line, RecordView* record) override {
    if (absl::Status parsed = reader_.Parse(line); !parsed.ok()) return parsed;
    record->value = reader_.bytes();
    record->shape = reader_.is_object() ? kFirstRowShape : kPackedShape;
    record->fields = reader_.is_object() ? &reader_.fields() : nullptr;
    return absl::OkStatus();
  }

  std::optional<std::string_view> Text(const std::string& path) override {
    if (!reader_.is_object()) return std::nullopt;
    return reader_.KeyText(path);
  }

  void AppendFieldJson(const std::string& path, std::string_view text, std::string* out) override {
    const auto packed = FindField({reader_.bytes(), kFirstRowShape, &reader_.fields()}, path);
    PackToken token;
    if (packed.has_value() && PackReader(*packed).Next(&token) && token.type == PackToken::Type::kString) {
      if (AppendPackedJson(*packed, out).ok()) return;
    }
    out->append(text);
  }

 private:
  JsonReader reader_;
};

class CsvExtractor final : public Extractor {
 public:
  CsvExtractor(const JobSpec& spec, Parts parts)
      : Extractor(spec, std::move(parts)), reader_(spec.source.types) {}

  // Without the column of its key every record would be a dead letter: that is one mistake, not many.
  absl::Status SetCsvHeader(std::string_view line) override {
    if (absl::Status set = reader_.SetHeader(line); !set.ok()) return set;
    for (const auto& [what, column] : NamedFields()) {
      if (reader_.HasColumn(column)) continue;
      return absl::InvalidArgumentError(
          StrCat("CSV header: there is no column `", column, "`, which `", what, "` names"));
    }
    return absl::OkStatus();
  }

 protected:
  absl::Status Read(std::string_view line, RecordView* record) override {
    if (!IsValidUtf8(line)) return absl::InvalidArgumentError("not CSV: the line is not UTF-8");
    if (absl::Status parsed = reader_.Parse(line); !parsed.ok()) return parsed;
    record->value = reader_.bytes();
    record->shape = kFirstRowShape;
    record->fields = &reader_.fields();
    return absl::OkStatus();
  }

  std::optional<std::string_view> Text(const std::string& path) override { return reader_.Text(path); }

  void AppendFieldJson(const std::string& path, std::string_view text, std::string* out) override {
    if (!reader_.IsNumber(path)) {
      packed_text_.clear();
      PackWriter(&packed_text_).String(text);
      if (AppendPackedJson(packed_text_, out).ok()) return;
    }
    out->append(text);
  }

 private:
  CsvReader reader_;
  std::string packed_text_;
};

class RawExtractor final : public Extractor {
 public:
  using Extractor::Extractor;

 protected:
  absl::Status Read(std::string_view line, RecordView* record) override {
    record->value = line;
    return absl::OkStatus();
  }
  std::optional<std::string_view> Text(const std::string&) override { return std::nullopt; }
  void AppendFieldJson(const std::string&, std::string_view, std::string*) override {}
};

}  // namespace

absl::StatusOr<std::unique_ptr<KeyExtractor>> KeyExtractor::Create(const JobSpec& spec) {
  Parts parts;
  if (spec.time.has_value()) {
    absl::StatusOr<TimeParser> parser = TimeParser::Create(spec.time->format);
    if (!parser.ok()) return AtPlace(spec.time->place, parser.status());
    parts.time_parser = *std::move(parser);
  }
  if (spec.key.kind == KeySpec::Kind::kLua) {
    absl::StatusOr<LuaKey> lua_key = LuaKey::Create(spec.key.lua);
    if (!lua_key.ok()) return AtPlace(spec.key.place, lua_key.status());
    parts.lua_key = *std::move(lua_key);
  }
  switch (spec.source.format) {
    case Format::kJsonLines:
      return std::make_unique<JsonExtractor>(spec, std::move(parts));
    case Format::kCsv:
      return std::make_unique<CsvExtractor>(spec, std::move(parts));
    case Format::kRaw:
      break;
  }
  const bool named_fields = spec.key.kind == KeySpec::Kind::kField || spec.key.kind == KeySpec::Kind::kFields;
  if (named_fields || spec.time.has_value()) {
    return AtPlace(named_fields ? spec.key.place : spec.time->place,
                   absl::InvalidArgumentError("a raw source has no fields — neither a `key` nor a `time` is "
                                              "in it — leave them out, or use `format: jsonl`"));
  }
  return std::make_unique<RawExtractor>(spec, std::move(parts));
}

}  // namespace millrace
