// The fields of JSON objects while these are read: of fields with one name the last counts.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace millrace {

// A stack: the fields of an object stand behind those of the objects around it. Keeps its memory. Not
// thread-safe.
class JsonFields {
 public:
  struct Entry {
    std::string_view name;    // unescaped; in the parser's buffer
    size_t begin = 0;         // where its packed bytes begin
    std::string_view number;  // as written, in the text; empty: it is none
  };

  // Of entries from `first` on with one name only the last stays, and with it its part of `bytes`, which end
  // with the last entry's.
  void DropShadowed(size_t first, std::string* bytes);

  std::vector<Entry> entries;

 private:
  bool HasShadowed(size_t first);

  absl::flat_hash_set<std::string_view> seen_;
};

}  // namespace millrace
