// A YAML text as a tree with positions, restricted to what a job file may be: one document of mappings, lists
// and scalars, without anchors, aliases and tags, no key twice, bounded in size and depth. The one adapter of
// yaml-cpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace millrace {

inline constexpr int kMaxYamlDepth = 32;

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  std::string text;                // kScalar
  bool quoted = false;             // kScalar: quoted or a block; then `12` is text, not a number
  std::vector<YamlNode> items;     // kSequence
  std::vector<YamlEntry> entries;  // kMapping, in the file's order
  bool literal = false;            // kScalar: a `|` block, whose text has the file's lines
  int line = 0;                    // from 1; 0: it is not from the file but from --set number `set`
  int column = 0;                  // from 1, in characters
  size_t set = 0;                  // from 0

  bool IsMapping() const { return kind == Kind::kMapping; }
  bool IsSequence() const { return kind == Kind::kSequence; }
  bool IsScalar() const { return kind == Kind::kScalar; }
  // The value at `key` of a mapping; null when there is none, or this is no mapping.
  const YamlNode* Find(std::string_view key) const;
};

struct YamlEntry {
  YamlNode key;  // a scalar
  YamlNode value;
};

// INVALID_ARGUMENT, one line `FILE:LINE:COLUMN: what — why — what to try`. Never recurses deeper than
// kMaxYamlDepth, whatever the text.
absl::StatusOr<YamlNode> ParseYaml(std::string_view file_name, std::string_view text, size_t max_bytes);

// A text that parses to the same tree.
std::string EmitYaml(const YamlNode& root);

// `what — why — attempt` at a place of a file, on one line.
absl::Status ErrorAt(std::string_view file_name, int line, int column, std::string_view what,
                     std::string_view why, std::string_view attempt);

// Text of a user's file for a message: in backquotes, on one line, shortened.
std::string Quoted(std::string_view text);

}  // namespace millrace
