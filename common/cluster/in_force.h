// Which term and which assignment are in force, among all that were ever made: the one answer for leaders,
// workers and views.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"

namespace millrace {

// The greatest key's document, with the numbers of the key, whatever it says of itself. One that cannot be
// read is in force all the same, since everything older is superseded: it is empty but for its numbers, and
// `trouble` says why. So nobody acts on an older one while somebody else acts on the newest.
template <typename Document>
struct InForce {
  Document document;
  absl::Status trouble;
};

// Of the bucket mr-assignments; nullopt when there is none yet. Pure.
std::optional<InForce<Assignment>> AssignmentInForce(
    const std::map<std::string, KeyValue, std::less<>>& assignments);
std::optional<InForce<Term>> NewestTerm(const std::map<std::string, KeyValue, std::less<>>& assignments);

}  // namespace millrace
