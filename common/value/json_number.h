// Whether a text is a number as JSON writes one.
#pragma once

#include <string_view>

namespace millrace {

enum class JsonNumber { kNone, kInteger, kOther };  // kOther: with a fraction or an exponent

// RFC 8259, section 6. `-0`, `1` and `12e3` are numbers; `01`, `+1`, `.5` and ` 1` are none.
JsonNumber ClassifyNumber(std::string_view text);

}  // namespace millrace
