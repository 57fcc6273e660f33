#include "common/pipeline/lua_chunk.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxErrorBytes = 500;
constexpr size_t kMaxChunkNameBytes = 50;  // Lua cuts longer names off

}  // namespace

std::string LuaChunk::LuaName() const { return std::string(Shorten(name, kMaxChunkNameBytes)); }

std::string LuaChunk::Title(int line) const { return line == 0 ? name : StrCat(name, ", line ", line); }

std::string LuaChunk::Padding() const {
  return std::string(place.has_lines ? static_cast<size_t>(place.line) - 1 : 0, '\n');
}

// Lua begins most of them with NAME:LINE: itself. Of code that has not the file's lines only the beginning is
// known.
std::string LuaChunk::Tidy(std::string_view message) const {
  std::string_view rest = message;
  int line = place.line;
  const std::string chunk_name = StrCat(LuaName(), ":");
  if (rest.starts_with(chunk_name)) {
    const size_t digits = chunk_name.size();
    const size_t end = rest.find(':', digits);
    int told = 0;
    if (end != std::string_view::npos && absl::SimpleAtoi(ToAbsl(rest.substr(digits, end - digits)), &told)) {
      if (place.has_lines) line = told;
      rest.remove_prefix(std::min(rest.size(), end + 2));
    }
  }
  const std::string tidy = StrCat(Title(line), ": ", Shorten(rest, kMaxErrorBytes));
  return absl::StrReplaceAll(tidy, {{"\n", " "}, {"\r", " "}, {"[builtin#", "["}});
}

}  // namespace millrace
