#include "common/value/json_fields.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr size_t kFewFields = 16;  // up to here duplicates are looked for pairwise

}  // namespace

// Whether a name among the entries from `first` on comes again behind it.
bool JsonFields::HasShadowed(size_t first) {
  if (entries.size() - first <= kFewFields) {
    for (size_t i = first; i < entries.size(); ++i) {
      for (size_t j = i + 1; j < entries.size(); ++j) {
        if (entries[i].name == entries[j].name) return true;
      }
    }
    return false;
  }
  seen_.clear();
  return !std::all_of(entries.begin() + static_cast<std::ptrdiff_t>(first), entries.end(),
                      [this](const Entry& entry) { return seen_.insert(entry.name).second; });
}

void JsonFields::DropShadowed(size_t first, std::string* bytes) {
  if (!HasShadowed(first)) return;
  seen_.clear();
  std::vector<bool> keep(entries.size() - first);
  for (size_t i = entries.size(); i-- > first;) keep[i - first] = seen_.insert(entries[i].name).second;
  size_t to = entries[first].begin;
  size_t kept = first;
  for (size_t i = first; i < entries.size(); ++i) {
    if (!keep[i - first]) continue;
    const size_t begin = entries[i].begin;
    const size_t end = i + 1 < entries.size() ? entries[i + 1].begin : bytes->size();
    std::copy(bytes->begin() + static_cast<std::ptrdiff_t>(begin),
              bytes->begin() + static_cast<std::ptrdiff_t>(end),
              bytes->begin() + static_cast<std::ptrdiff_t>(to));
    entries[kept] = entries[i];
    entries[kept++].begin = to;
    to += end - begin;
  }
  entries.resize(kept);
  bytes->resize(to);
}

}  // namespace millrace
