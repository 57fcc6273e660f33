#include "common/bus/subjects.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxSubjectBytes = 1024;
constexpr size_t kMaxStreamNameBytes = 255;

std::vector<std::string> TokensOf(std::string_view subject) { return absl::StrSplit(ToAbsl(subject), '.'); }

bool IsGraphic(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
}

}  // namespace

bool SubjectCovers(std::string_view wide, std::string_view narrow) {
  const std::vector<std::string> pattern = TokensOf(wide), subject = TokensOf(narrow);
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (i >= subject.size()) return false;
    if (pattern[i] == ">") return true;
    if (subject[i] == ">") return false;
    if (pattern[i] != "*" && pattern[i] != subject[i]) return false;
  }
  return pattern.size() == subject.size();
}

bool IsSourceSubject(std::string_view subject) {
  if (subject.empty() || subject.size() > kMaxSubjectBytes || !IsGraphic(subject)) return false;
  const std::vector<std::string> tokens = TokensOf(subject);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& token = tokens[i];
    if (token.empty()) return false;
    if (token == ">" ? i + 1 < tokens.size()
                     : token != "*" && token.find_first_of("*>") != std::string::npos) {
      return false;
    }
  }
  // `>` and `*` alone would take in what we and the server say.
  const std::string& first = tokens.front();
  return first != "mr" && first != ">" && first != "*" && first != "_INBOX" && first.front() != '$';
}

bool IsSourceStream(std::string_view name) {
  return !name.empty() && name.size() <= kMaxStreamNameBytes && IsGraphic(name) &&
         name.find_first_of(".*>/\\") == std::string_view::npos && !name.starts_with("mr-") &&
         !name.starts_with("KV_") && !name.starts_with("OBJ_");
}

}  // namespace millrace
