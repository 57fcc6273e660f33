#include "common/pipeline/lua_source.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/ascii.h"
#include "common/strings.h"

namespace millrace {
namespace {

bool StartsName(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}
bool ContinuesName(char c) { return StartsName(c) || absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// The end of a long bracket ([[…]], [=[…]=]) that starts at `at`; npos when none starts there.
size_t LongBracketEnd(std::string_view code, size_t at) {
  size_t level = 0;
  size_t i = at + 1;
  while (i < code.size() && code[i] == '=') ++i, ++level;
  if (i >= code.size() || code[i] != '[') return std::string_view::npos;
  const std::string close = StrCat("]", std::string(level, '='), "]");
  const size_t end = code.find(close, i + 1);
  return end == std::string_view::npos ? code.size() : end + close.size();
}

size_t QuotedEnd(std::string_view code, size_t at) {
  size_t i = at + 1;
  while (i < code.size() && code[i] != code[at]) i += code[i] == '\\' ? 2 : 1;
  return std::min(code.size(), i + 1);
}

size_t CommentEnd(std::string_view code, size_t at) {
  if (at + 2 < code.size() && code[at + 2] == '[') {
    const size_t end = LongBracketEnd(code, at + 2);
    if (end != std::string_view::npos) return end;
  }
  const size_t line_end = code.find('\n', at);
  return line_end == std::string_view::npos ? code.size() : line_end;
}

LuaToken NextToken(std::string_view code, size_t at) {
  const char c = code[at];
  size_t end = at + 1;
  LuaToken::Kind kind = LuaToken::Kind::kOther;
  if (StartsName(c)) {
    kind = LuaToken::Kind::kName;
    while (end < code.size() && ContinuesName(code[end])) ++end;
  } else if (absl::ascii_isdigit(static_cast<unsigned char>(c))) {
    kind = LuaToken::Kind::kNumber;
    while (end < code.size() && (ContinuesName(code[end]) || code[end] == '.')) ++end;
  } else if (c == '"' || c == '\'') {
    kind = LuaToken::Kind::kString;
    end = QuotedEnd(code, at);
  } else if (c == '[' && LongBracketEnd(code, at) != std::string_view::npos) {
    kind = LuaToken::Kind::kString;
    end = LongBracketEnd(code, at);
  }
  return {kind, at, end, code.substr(at, end - at)};
}

bool IsKeyword(std::string_view name) {
  static constexpr std::string_view kKeywords[] = {
      "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
      "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};
  return std::find(std::begin(kKeywords), std::end(kKeywords), name) != std::end(kKeywords);
}

bool IsVariable(const LuaToken& token) {
  return token.kind == LuaToken::Kind::kName && !IsKeyword(token.text);
}

// How a token changes the depth of blocks. `while … do` and `for … do` open with their `do`.
int DepthChange(const LuaToken& token) {
  if (token.kind != LuaToken::Kind::kName) return 0;
  if (token.text == "function" || token.text == "do" || token.text == "if" || token.text == "repeat")
    return 1;
  return token.text == "end" || token.text == "until" ? -1 : 0;
}

// Cuts a keyed chunk in two. Works on the tokens at depth 0.
class Splitter {
 public:
  explicit Splitter(std::string_view code) : code_(code), tokens_(LexLua(code)) {}

  absl::StatusOr<KeyedSource> Split() {
    source_.definitions = Blank();
    source_.record_code = std::string(code_);
    size_t i = 0;
    while (tokens_[i].kind != LuaToken::Kind::kEnd) i = TakeStatementStart(i);
    for (const std::string& name : variables_) {
      for (const LuaToken& token : used_by_functions_) {
        if (token.text == name) return UsesVariable(name);
      }
    }
    return std::move(source_);
  }

 private:
  // As long as the code, with its line ends and nothing else.
  std::string Blank() const {
    std::string blank(code_.size(), ' ');
    for (size_t i = 0; i < code_.size(); ++i) {
      if (code_[i] == '\n') blank[i] = '\n';
    }
    return blank;
  }
  void CopyToDefinitions(size_t begin, size_t end) {
    source_.definitions.replace(begin, end - begin, code_.substr(begin, end - begin));
  }
  void BlankOutRecordCode(size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (source_.record_code[i] != '\n') source_.record_code[i] = ' ';
    }
  }

  // Looks at token i, at depth 0; returns the next token at depth 0.
  size_t TakeStatementStart(size_t i) {
    const bool is_local = tokens_[i].text == "local";
    const size_t function = is_local ? i + 1 : i;
    if (tokens_[function].text == "function" && IsVariable(tokens_[function + 1])) {
      return TakeFunction(i, function);
    }
    if (is_local) NoteLocal(i);
    return SkipBlock(i);
  }

  // The token behind the block that token i opens, or behind token i.
  size_t SkipBlock(size_t i) const {
    int depth = 0;
    do {
      depth += DepthChange(tokens_[i]);
      ++i;
    } while (depth > 0 && tokens_[i].kind != LuaToken::Kind::kEnd);
    return i;
  }

  // A definition becomes a global of the call it runs in, also where it says `local`: the record's code is a
  // chunk of its own and sees globals only.
  size_t TakeFunction(size_t i, size_t function) {
    const size_t behind = SkipBlock(function);
    CopyToDefinitions(tokens_[function].begin, tokens_[behind - 1].end);
    BlankOutRecordCode(tokens_[i].begin, tokens_[behind - 1].end);
    if (tokens_[function + 1].text == "on_timer") source_.has_on_timer = true;
    NoteUses(function + 2, behind);
    return behind;
  }

  // Names of fields are no uses: those behind a dot, and those that a table in braces gives a value to.
  void NoteUses(size_t begin, size_t end) {
    std::vector<bool> in_table;  // for each brace and block that is open
    for (size_t t = begin; t < end; ++t) {
      const LuaToken& token = tokens_[t];
      const bool opens_table = token.text == "{";
      const int change = opens_table ? 1 : token.text == "}" ? -1 : DepthChange(token);
      if (change > 0) in_table.push_back(opens_table);
      if (change < 0 && !in_table.empty()) in_table.pop_back();
      const bool gets_value = tokens_[t + 1].text == "=" && tokens_[t + 2].text != "=";
      const bool is_field =
          tokens_[t - 1].text == "." || (gets_value && !in_table.empty() && in_table.back());
      if (IsVariable(token) && !is_field) used_by_functions_.push_back(token);
    }
  }

  void NoteLocal(size_t i) {
    const LuaToken& value = tokens_[std::min(i + 3, tokens_.size() - 1)];
    const bool literal = value.kind == LuaToken::Kind::kNumber || value.kind == LuaToken::Kind::kString ||
                         value.text == "true" || value.text == "false";
    if (IsVariable(tokens_[i + 1]) && tokens_[i + 2].text == "=" && literal && StatementEndsBehind(i + 3)) {
      CopyToDefinitions(tokens_[i].begin, value.end);
      return;
    }
    for (size_t t = i + 1; IsVariable(tokens_[t]); t += 2) {
      variables_.emplace_back(tokens_[t].text);
      if (tokens_[t + 1].text != ",") break;
    }
  }
  bool StatementEndsBehind(size_t i) const {
    const LuaToken& next = tokens_[i + 1];
    if (next.kind == LuaToken::Kind::kEnd || next.text == ";") return true;
    return next.kind == LuaToken::Kind::kName && next.text != "and" && next.text != "or";
  }

  static absl::Status UsesVariable(std::string_view name) {
    return absl::InvalidArgumentError(
        StrCat("a function uses `", name,
               "`, a local of the code that runs for each record — in on_timer it has no value — ",
               "pass it as an argument, or make it a constant (local ", name, " = 60)"));
  }

  const std::string_view code_;
  const std::vector<LuaToken> tokens_;
  KeyedSource source_;
  std::vector<std::string> variables_;       // top-level locals that are no constants
  std::vector<LuaToken> used_by_functions_;  // names in the definitions
};

}  // namespace

std::vector<LuaToken> LexLua(std::string_view code) {
  std::vector<LuaToken> tokens;
  size_t at = 0;
  while (at < code.size()) {
    if (absl::ascii_isspace(static_cast<unsigned char>(code[at]))) {
      ++at;
    } else if (code.substr(at, 2) == "--") {
      at = CommentEnd(code, at);
    } else {
      tokens.push_back(NextToken(code, at));
      at = tokens.back().end;
    }
  }
  tokens.push_back({LuaToken::Kind::kEnd, code.size(), code.size(), {}});
  return tokens;
}

LuaUsage FindUsage(std::string_view code) {
  LuaUsage usage;
  const std::vector<LuaToken> tokens = LexLua(code);
  absl::flat_hash_set<std::string> fields;
  for (size_t i = 0; tokens[i].kind != LuaToken::Kind::kEnd; ++i) {
    if (!IsVariable(tokens[i])) continue;
    // A name behind a dot is a field, but behind `..` a variable.
    const bool behind_dot = i > 0 && tokens[i - 1].text == "." && !(i > 1 && tokens[i - 2].text == ".");
    if (behind_dot || (i > 0 && tokens[i - 1].text == ":")) continue;
    usage.names.emplace(tokens[i].text);
    if (tokens[i].text != "r") continue;
    const bool one_field = tokens[i + 1].text == "." && IsVariable(tokens[i + 2]);
    if (one_field) {
      fields.emplace(tokens[i + 2].text);
    } else {
      usage.whole_record = true;
    }
  }
  usage.r_fields.assign(fields.begin(), fields.end());
  std::sort(usage.r_fields.begin(), usage.r_fields.end());
  return usage;
}

absl::StatusOr<KeyedSource> SplitKeyedSource(std::string_view code) { return Splitter(code).Split(); }

}  // namespace millrace
