#include "common/bus/nats_names.h"

#include <charconv>
#include <system_error>

namespace millrace {

bool TakeNumber(std::string_view* text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  if (!text->empty()) {
    if (text->front() != '.') return false;
    text->remove_prefix(1);
  }
  return true;
}

bool ParseConsumer(std::string_view name, uint64_t* reader, uint64_t* attempt) {
  const size_t last = name.rfind('-');
  if (last == std::string_view::npos || last == 0) return false;
  const size_t before = name.rfind('-', last - 1);
  if (before == std::string_view::npos) return false;
  std::string_view reader_text = name.substr(before + 1, last - before - 1);
  std::string_view attempt_text = name.substr(last + 1);
  return TakeNumber(&reader_text, reader) && TakeNumber(&attempt_text, attempt);
}

}  // namespace millrace
