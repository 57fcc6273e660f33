#include "common/cluster/in_force.h"

#include <utility>

#include "common/cluster/numbered_key.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

using BucketKeys = std::map<std::string, KeyValue, std::less<>>;

struct GreatestKey {
  NumberedKey number;
  const KeyValue* entry = nullptr;  // null: there is none
};

GreatestKey FindGreatest(const BucketKeys& keys, std::string_view prefix, int numbers) {
  GreatestKey greatest;
  for (auto it = keys.lower_bound(prefix); it != keys.end() && it->first.starts_with(prefix); ++it) {
    const std::optional<NumberedKey> number = ParseNumberedKey(it->first, prefix, numbers);
    if (it->second.deleted || !number.has_value()) continue;
    if (greatest.entry == nullptr || *number > greatest.number) greatest = {*number, &it->second};
  }
  return greatest;
}

template <typename Document>
InForce<Document> Read(const KeyValue& entry, absl::StatusOr<Document> (*decode)(std::string_view)) {
  absl::StatusOr<Document> document = decode(entry.value);
  if (document.ok()) return {*std::move(document), absl::OkStatus()};
  return {Document{},
          absl::InvalidArgumentError(StrCat(entry.key, ": ", ToStd(document.status().message())))};
}

}  // namespace

std::optional<InForce<Assignment>> AssignmentInForce(const BucketKeys& assignments) {
  const GreatestKey greatest = FindGreatest(assignments, kAssignmentPrefix, 2);
  if (greatest.entry == nullptr) return std::nullopt;
  InForce<Assignment> found = Read(*greatest.entry, DecodeAssignment);
  found.document.term = greatest.number.first;
  found.document.number = greatest.number.second;
  return found;
}

std::optional<InForce<Term>> NewestTerm(const BucketKeys& assignments) {
  const GreatestKey greatest = FindGreatest(assignments, kTermPrefix, 1);
  if (greatest.entry == nullptr) return std::nullopt;
  InForce<Term> found = Read(*greatest.entry, DecodeTerm);
  found.document.term = greatest.number.first;
  return found;
}

}  // namespace millrace
