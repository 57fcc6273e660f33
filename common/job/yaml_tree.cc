#include "common/job/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "common/escape.h"
#include "common/job/yaml_text.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

constexpr size_t kMaxQuotedBytes = 60;

// Thrown through yaml-cpp, which cannot be stopped otherwise; caught in ParseYaml.
struct Refusal {
  int line = 0, column = 0;
  std::string what, why, attempt;
};

Refusal RefuseAt(const YAML::Mark& mark, std::string_view what, std::string_view why,
                 std::string_view attempt) {
  return {mark.line + 1, mark.column + 1, std::string(what), std::string(why), std::string(attempt)};
}

Refusal ReferenceAt(const YAML::Mark& mark) {
  return RefuseAt(mark, "an anchor or alias", "a job file has no & and * references",
                  "write the value out, or put it in quotes");
}

// An error of the parser's own.
Refusal RefusalOf(const YAML::Exception& error) {
  YAML::Mark mark = error.mark;
  if (mark.is_null()) mark = YAML::Mark();
  // It looks aliases up before it tells of them.
  if (absl::StartsWith(error.msg, "the referenced anchor is not defined")) return ReferenceAt(mark);
  return RefuseAt(mark, StrCat("not YAML: ", error.msg), "the text could not be parsed",
                  "close what is open, and put values with : # { } [ ] , & * ! | > ' \" % @ ` in quotes");
}

// Builds the tree from the parser's events, so that nothing is expanded before it is judged.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view text) : text_(text) {}
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      throw RefuseAt(mark, "a second document", "a job file is one document",
                     "put each job into its own file");
    }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Finish(NewNode(mark, YamlNode::Kind::kNull));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { RefuseReference(mark); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { RefuseReference(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    RefuseTag(mark, tag);
    YamlNode node = NewNode(mark, YamlNode::Kind::kScalar);
    node.text = value;
    node.quoted = tag == "!";
    const auto at = static_cast<size_t>(mark.pos);
    node.literal = node.quoted && at < text_.size() && text_[at] == '|';
    Finish(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, YamlNode::Kind::kMapping);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A mapping or list whose end has not come yet.
  struct Unfinished {
    YamlNode node;
    std::optional<YamlNode> key;  // of a mapping: read, its value not yet
    absl::flat_hash_set<std::string> keys;
  };

  static YamlNode NewNode(const YAML::Mark& mark, YamlNode::Kind kind) {
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  [[noreturn]] static void RefuseReference(const YAML::Mark& mark) { throw ReferenceAt(mark); }

  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw RefuseAt(mark, "a tag", "a job file has no ! tags", "leave it out, or put the value in quotes");
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
    RefuseTag(mark, tag);
    if (unfinished_.size() >= kMaxYamlDepth) {
      throw RefuseAt(mark, StrCat("nested more than ", kMaxYamlDepth, " deep"),
                     "no part of a job file is that deep", "look for a bracket too many");
    }
    unfinished_.emplace_back().node = NewNode(mark, kind);
  }

  void Close() {
    YamlNode node = std::move(unfinished_.back().node);
    unfinished_.pop_back();
    Finish(std::move(node));
  }

  void Finish(YamlNode node) {
    if (unfinished_.empty()) {
      root_ = std::move(node);
      return;
    }
    Unfinished& parent = unfinished_.back();
    if (parent.node.IsSequence()) {
      parent.node.items.push_back(std::move(node));
    } else if (parent.key.has_value()) {
      if (node.kind == YamlNode::Kind::kNull) {
        // Its mark is wherever the parser noticed, which may be lines below.
        node.line = parent.key->line;
        node.column = parent.key->column;
      }
      parent.node.entries.push_back({*std::exchange(parent.key, std::nullopt), std::move(node)});
    } else {
      CheckKey(parent, node);
      parent.key = std::move(node);
    }
  }

  static void CheckKey(Unfinished& mapping, const YamlNode& key) {
    if (!key.IsScalar()) {
      throw Refusal{key.line, key.column, "a key that is no word", "what stands before a `:` is a name",
                    "write it in quotes"};
    }
    if (!mapping.keys.insert(key.text).second) {
      throw Refusal{key.line, key.column, StrCat(Quoted(key.text), " is here twice"), "a key has one value",
                    "leave one of the two out"};
    }
  }

  const std::string_view text_;
  YamlNode root_ = NewNode(YAML::Mark(), YamlNode::Kind::kNull);
  std::vector<Unfinished> unfinished_;
  int documents_ = 0;
};

void Emit(const YamlNode& node, YAML::Emitter& out) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      out << YAML::Null;
      break;
    case YamlNode::Kind::kScalar:
      if (node.quoted) out << YAML::DoubleQuoted;
      out << node.text;
      break;
    case YamlNode::Kind::kSequence:
      out << YAML::BeginSeq;
      for (const YamlNode& item : node.items) Emit(item, out);
      out << YAML::EndSeq;
      break;
    case YamlNode::Kind::kMapping:
      out << YAML::BeginMap;
      for (const YamlEntry& entry : node.entries) {
        out << YAML::Key;
        Emit(entry.key, out);
        out << YAML::Value;
        Emit(entry.value, out);
      }
      out << YAML::EndMap;
      break;
  }
}

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const YamlEntry& entry) { return entry.key.text == key; });
  return found == entries.end() ? nullptr : &found->value;
}

absl::StatusOr<YamlNode> ParseYaml(std::string_view file_name, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return ErrorAt(file_name, 1, 1, StrCat("the file has ", text.size(), " bytes"),
                   StrCat("a job file has at most ", FormatSize(max_bytes)),
                   "check that it is the right file");
  }
  if (const std::optional<TextProblem> problem = CheckText(text)) {
    return ErrorAt(file_name, problem->line, problem->column, problem->what, problem->why, problem->attempt);
  }
  TreeBuilder builder(text);
  std::optional<Refusal> refusal;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refusal& thrown) {
    refusal = thrown;
  } catch (const YAML::Exception& error) {
    refusal = RefusalOf(error);
  }
  if (refusal) {
    return ErrorAt(file_name, refusal->line, refusal->column, refusal->what, refusal->why, refusal->attempt);
  }
  return builder.TakeRoot();
}

std::string EmitYaml(const YamlNode& root) {
  YAML::Emitter out;
  Emit(root, out);
  return std::string(out.c_str(), out.size()) + "\n";
}

absl::Status ErrorAt(std::string_view file_name, int line, int column, std::string_view what,
                     std::string_view why, std::string_view attempt) {
  return absl::InvalidArgumentError(
      StrCat(file_name, ":", line, ":", column, ": ", what, " — ", why, " — ", attempt));
}

std::string Quoted(std::string_view text) {
  size_t end = std::min(text.size(), kMaxQuotedBytes);
  while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;  // not within a UTF-8 sequence
  return StrCat("`", EscapeControls(text.substr(0, end)), end < text.size() ? "…`" : "`");
}

}  // namespace millrace
