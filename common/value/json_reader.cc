// JSON text into rows and packed values, with simdjson's on-demand parser: this file is its adapter.
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/strings.h"
#include "common/value/json_fields.h"
#include "common/value/json_number.h"
#include "common/value/value.h"

namespace millrace {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

constexpr uint32_t kMaxFixCount = 15;  // what a MessagePack container counts in its first byte
constexpr std::string_view kSpace = " \t\r\n";

const char* Explain(error_code error) {
  switch (error) {
    case simdjson::EMPTY:
      return "there is nothing";
    case simdjson::UTF8_ERROR:
      return "bytes that are not UTF-8";
    case simdjson::UNCLOSED_STRING:
      return "a string without its closing quote";
    case simdjson::UNESCAPED_CHARS:
      return "a control character in a string, not escaped";
    case simdjson::STRING_ERROR:
      return "a malformed escape";
    case simdjson::NUMBER_ERROR:
      return "a malformed number, or one beyond what a double can hold";
    case simdjson::DEPTH_ERROR:
      return "nested too deep";
    case simdjson::CAPACITY:
      return "an object with too many fields";
    case simdjson::TRAILING_CONTENT:
      return "more behind the end of the value";
    default:
      return "a comma, colon, quote, bracket or value is missing or out of place";
  }
}

std::string_view RawToken(ondemand::value& value) { return value.raw_json_token(); }
std::string_view RawToken(ondemand::document& document) {
  std::string_view token;
  return document.raw_json_token().get(token) == simdjson::SUCCESS ? token : std::string_view();
}

// A number, true, false or null as it is written, without the space that follows it. simdjson lets some of
// them end in a letter, a digit or a sign: what is accepted is decided by this text.
template <typename Json>
std::string_view ScalarText(Json& json) {
  const std::string_view token = RawToken(json);
  return token.substr(0, token.find_last_not_of(kSpace) + 1);
}

}  // namespace

struct JsonReader::Impl {
  error_code Read();
  error_code ReadRow(ondemand::object object);
  error_code PackValue(ondemand::value value, int open, std::string_view* number);
  error_code PackArray(ondemand::array array, int open);
  error_code PackObject(ondemand::object object, int open);
  template <typename Json>
  error_code PackScalar(Json& json, ondemand::json_type type, std::string_view* number);
  template <typename Json>
  error_code PackNumber(Json& json, std::string_view* number);
  error_code CheckText(std::string_view unescaped) const;
  void PatchHeader(size_t begin, uint32_t count, uint8_t fix, void (PackWriter::*write)(uint32_t));

  void NameFields();

  bool FindText(ondemand::object object, std::string_view path);
  bool TakeText(ondemand::value value);
  size_t ErrorPosition(error_code error);

  ondemand::parser parser;
  ondemand::document document;
  std::string text;  // the input, then padding
  size_t size = 0;   // of the input
  bool has_escapes = false;

  bool is_object = false;
  std::string bytes;
  JsonFields read;                 // the row's fields first, then those of objects that are open
  std::vector<std::string> names;  // of the row, kept from record to record while they do not change
  FieldNames fields;               // of `names`

  ondemand::parser path_parser;
  std::string key_text;
};

JsonReader::JsonReader() : impl_(std::make_unique<Impl>()) {}
JsonReader::~JsonReader() = default;
bool JsonReader::is_object() const { return impl_->is_object; }
const FieldNames& JsonReader::fields() const { return impl_->fields; }
std::string_view JsonReader::bytes() const { return impl_->bytes; }

absl::Status JsonReader::Parse(std::string_view json) {
  const size_t padded = json.size() + simdjson::SIMDJSON_PADDING;
  if (impl_->text.size() < padded) impl_->text.resize(padded);
  std::copy(json.begin(), json.end(), impl_->text.begin());
  impl_->size = json.size();
  const error_code error = impl_->Read();
  if (error == simdjson::SUCCESS) return absl::OkStatus();
  const size_t position = impl_->ErrorPosition(error);
  impl_->is_object = false;
  impl_->bytes.clear();
  return absl::InvalidArgumentError(StrCat("not JSON: ", Explain(error), ", at byte ", position));
}

error_code JsonReader::Impl::Read() {
  bytes.clear();
  read.entries.clear();
  is_object = false;
  has_escapes = std::string_view(text).substr(0, size).find('\\') != std::string_view::npos;
  if (auto error = parser.iterate(text.data(), size, text.size()).get(document)) return error;
  ondemand::json_type type;
  if (auto error = document.type().get(type)) return error;
  error_code error;
  if (type == ondemand::json_type::object) {
    is_object = true;
    ondemand::object object;
    error = document.get_object().get(object);
    if (!error) error = ReadRow(object);
  } else if (type == ondemand::json_type::array) {
    ondemand::array array;
    error = document.get_array().get(array);
    if (!error) error = PackArray(array, 1);
  } else {
    std::string_view number;
    error = PackScalar(document, type, &number);
  }
  const bool at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
  if (!error && !at_end) error = simdjson::TRAILING_CONTENT;
  return error;
}

error_code JsonReader::Impl::ReadRow(ondemand::object object) {
  for (auto result : object) {
    ondemand::field field;
    if (auto error = std::move(result).get(field)) return error;
    if (read.entries.size() == kMaxShapeFields) return simdjson::CAPACITY;
    JsonFields::Entry entry;
    if (auto error = field.unescaped_key().get(entry.name)) return error;
    if (auto error = CheckText(entry.name)) return error;
    entry.begin = bytes.size();
    read.entries.push_back(entry);
    const size_t index = read.entries.size() - 1;
    if (auto error = PackValue(field.value(), 1, &read.entries[index].number)) return error;
  }
  NameFields();
  return simdjson::SUCCESS;
}

// Most records have the fields of the one before: then nothing is to be done.
void JsonReader::Impl::NameFields() {
  const auto same = [](const JsonFields::Entry& entry, std::string_view name) { return entry.name == name; };
  if (std::equal(read.entries.begin(), read.entries.end(), fields.begin(), fields.end(), same)) return;
  read.DropShadowed(0, &bytes);
  names.resize(read.entries.size());
  fields.resize(read.entries.size());
  for (size_t i = 0; i < read.entries.size(); ++i) {
    names[i].assign(read.entries[i].name);
    fields[i] = names[i];
  }
}

// `open`: how many containers stand open around the value. `number` is set for a number.
error_code JsonReader::Impl::PackValue(ondemand::value value, int open, std::string_view* number) {
  ondemand::json_type type;
  if (auto error = value.type().get(type)) return error;
  if (type == ondemand::json_type::array) {
    ondemand::array array;
    if (auto error = value.get_array().get(array)) return error;
    return PackArray(array, open + 1);
  }
  if (type == ondemand::json_type::object) {
    ondemand::object object;
    if (auto error = value.get_object().get(object)) return error;
    return PackObject(object, open + 1);
  }
  return PackScalar(value, type, number);
}

template <typename Json>
error_code JsonReader::Impl::PackScalar(Json& json, ondemand::json_type type, std::string_view* number) {
  PackWriter writer(&bytes);
  switch (type) {
    case ondemand::json_type::string: {
      std::string_view string;
      if (auto error = json.get_string().get(string)) return error;
      if (auto error = CheckText(string)) return error;
      writer.String(string);
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::boolean: {
      const std::string_view written = ScalarText(json);
      bool boolean;
      if (auto error = json.get_bool().get(boolean)) return error;
      if (written != (boolean ? "true" : "false"))
        return boolean ? simdjson::T_ATOM_ERROR : simdjson::F_ATOM_ERROR;
      writer.Bool(boolean);
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::null: {
      const std::string_view written = ScalarText(json);
      bool is_null;
      if (auto error = json.is_null().get(is_null)) return error;
      if (!is_null || written != "null") return simdjson::N_ATOM_ERROR;
      writer.Nil();
      return simdjson::SUCCESS;
    }
    default:
      return PackNumber(json, number);
  }
}

template <typename Json>
error_code JsonReader::Impl::PackNumber(Json& json, std::string_view* number) {
  PackWriter writer(&bytes);
  *number = ScalarText(json);
  const JsonNumber kind = ClassifyNumber(*number);
  if (kind == JsonNumber::kNone) return simdjson::NUMBER_ERROR;
  if (kind == JsonNumber::kInteger) {
    int64_t integer;
    if (json.get_int64().get(integer) == simdjson::SUCCESS) {
      writer.Int(integer);
      return simdjson::SUCCESS;
    }
    uint64_t unsigned_integer;
    if (json.get_uint64().get(unsigned_integer) == simdjson::SUCCESS) {
      writer.Uint(unsigned_integer);
      return simdjson::SUCCESS;
    }
  }
  double real;
  if (auto error = json.get_double().get(real)) return error;
  writer.Double(real);
  return simdjson::SUCCESS;
}

error_code JsonReader::Impl::PackArray(ondemand::array array, int open) {
  if (open > kMaxPackDepth) return simdjson::DEPTH_ERROR;
  const size_t begin = bytes.size();
  bytes.push_back('\0');
  uint32_t count = 0;
  std::string_view number;
  for (auto result : array) {
    ondemand::value value;
    if (auto error = result.get(value)) return error;
    if (auto error = PackValue(value, open, &number)) return error;
    ++count;
  }
  PatchHeader(begin, count, 0x90, &PackWriter::Array);
  return simdjson::SUCCESS;
}

error_code JsonReader::Impl::PackObject(ondemand::object object, int open) {
  if (open > kMaxPackDepth) return simdjson::DEPTH_ERROR;
  const size_t begin = bytes.size();
  const size_t first = read.entries.size();
  bytes.push_back('\0');
  std::string_view number;
  for (auto result : object) {
    ondemand::field field;
    if (auto error = std::move(result).get(field)) return error;
    JsonFields::Entry entry;
    if (auto error = field.unescaped_key().get(entry.name)) return error;
    if (auto error = CheckText(entry.name)) return error;
    entry.begin = bytes.size();
    read.entries.push_back(entry);
    PackWriter(&bytes).String(entry.name);
    if (auto error = PackValue(field.value(), open, &number)) return error;
  }
  read.DropShadowed(first, &bytes);
  PatchHeader(begin, static_cast<uint32_t>(read.entries.size() - first), 0x80, &PackWriter::Map);
  read.entries.resize(first);
  return simdjson::SUCCESS;
}

// Writes a container's header, now that its count is known, over the byte kept for it.
void JsonReader::Impl::PatchHeader(size_t begin, uint32_t count, uint8_t fix,
                                   void (PackWriter::*write)(uint32_t)) {
  if (count <= kMaxFixCount) {
    bytes[begin] = static_cast<char>(fix | count);
    return;
  }
  std::string header;
  PackWriter writer(&header);
  (writer.*write)(count);
  bytes.replace(begin, 1, header);
}

// An escape can spell half a surrogate pair, which is no text.
error_code JsonReader::Impl::CheckText(std::string_view unescaped) const {
  return has_escapes && !IsValidUtf8(unescaped) ? simdjson::STRING_ERROR : simdjson::SUCCESS;
}

std::optional<std::string_view> JsonReader::KeyText(std::string_view path) {
  Impl& impl = *impl_;
  const auto column = std::find_if(impl.read.entries.begin(), impl.read.entries.end(),
                                   [path](const JsonFields::Entry& entry) { return entry.name == path; });
  if (column == impl.read.entries.end()) {
    if (path.find('.') == std::string_view::npos) return std::nullopt;
    // Rare enough for a second pass over the text.
    ondemand::document document;
    ondemand::object object;
    if (impl.path_parser.iterate(impl.text.data(), impl.size, impl.text.size()).get(document) ||
        document.get_object().get(object) || !impl.FindText(object, path)) {
      return std::nullopt;
    }
    return impl.key_text;
  }
  if (!column->number.empty()) return column->number;
  PackReader reader(std::string_view(impl.bytes).substr(column->begin));
  PackToken token;
  if (!reader.Next(&token)) return std::nullopt;
  if (token.type == PackToken::Type::kString) return token.text;
  if (token.type == PackToken::Type::kBool) return token.boolean ? "true" : "false";
  return std::nullopt;
}

// Puts the text at `path` into key_text; false when there is none. Goes through all fields, for the last of
// a name counts.
bool JsonReader::Impl::FindText(ondemand::object object, std::string_view path) {
  const size_t dot = path.find('.');
  bool has_name = false;  // a field called `path` as a whole goes before a way down
  bool found = false;
  for (auto result : object) {
    ondemand::field field;
    std::string_view name;
    if (std::move(result).get(field) || field.unescaped_key().get(name)) return false;
    if (name == path) {
      has_name = true;
      found = TakeText(field.value());
    } else if (!has_name && dot != std::string_view::npos && name == path.substr(0, dot)) {
      ondemand::object child;
      found = !field.value().get_object().get(child) && FindText(child, path.substr(dot + 1));
    }
  }
  return found;
}

bool JsonReader::Impl::TakeText(ondemand::value value) {
  ondemand::json_type type;
  if (value.type().get(type)) return false;
  std::string_view string;
  switch (type) {
    case ondemand::json_type::string:
      if (value.get_string().get(string)) return false;
      break;
    case ondemand::json_type::number:
      string = ScalarText(value);
      break;
    case ondemand::json_type::boolean: {
      bool boolean;
      if (value.get_bool().get(boolean)) return false;
      string = boolean ? "true" : "false";
      break;
    }
    default:
      return false;
  }
  key_text.assign(string);
  return true;
}

size_t JsonReader::Impl::ErrorPosition(error_code error) {
  if (error == simdjson::UTF8_ERROR) return FindInvalidUtf8(std::string_view(text).substr(0, size));
  const char* location;
  if (error == simdjson::EMPTY || error == simdjson::UNCLOSED_STRING || error == simdjson::UNESCAPED_CHARS ||
      document.current_location().get(location)) {
    return size;
  }
  return std::min(size, static_cast<size_t>(location - text.data()));
}

bool IsValidUtf8(std::string_view bytes) {
  uint64_t high_bits = 0;
  size_t at = 0;
  for (; at + sizeof high_bits <= bytes.size(); at += sizeof high_bits) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    high_bits |= word;
  }
  for (; at < bytes.size(); ++at) high_bits |= uint64_t{static_cast<uint8_t>(bytes[at])};
  const bool is_ascii = (high_bits & 0x8080808080808080) == 0;
  return is_ascii || simdjson::validate_utf8(bytes.data(), bytes.size());
}

}  // namespace millrace
