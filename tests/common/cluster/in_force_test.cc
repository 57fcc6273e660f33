#include "common/cluster/in_force.h"

#include <vector>

#include "common/strings.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using Entries = std::map<std::string, KeyValue, std::less<>>;
using Keys = std::vector<std::pair<std::string, std::string>>;

Entries EntriesOf(const Keys& keys) {
  Entries entries;
  for (const auto& [key, value] : keys) entries[key] = {key, value, 1, /*deleted=*/value == "gone", 0};
  return entries;
}

// What documents say of themselves is one more than their key, where it says anything.
std::string Dealt(uint64_t term, uint64_t number, const std::string& owner) {
  return Encode(Assignment{term + 1, number + 1, {JobAssignment{"j", "u", false, {owner}}}});
}

TEST(AssignmentInForce, IsThatOfTheGreatestKey) {
  struct Case {
    const char* situation;
    Keys keys;
    std::string found;  // term.number owner; "trouble" for an owner: it cannot be read
  };
  const Case cases[] = {
      {"nothing there", {}, "none"},
      {"other keys alone", {{"term.3", "x"}, {"assign.x.1", "x"}, {"assign.1", "x"}}, "none"},
      {"one", {{"assign.1.1", Dealt(1, 1, "a")}}, "1.1 a"},
      {"numbers, not letters, order them",
       {{"assign.1.9", Dealt(1, 9, "a")}, {"assign.1.10", Dealt(1, 10, "b")}},
       "1.10 b"},
      {"a later term before a later number",
       {{"assign.1.99", Dealt(1, 99, "a")}, {"assign.2.1", Dealt(2, 1, "b")}},
       "2.1 b"},
      {"the key counts, not what the document says",
       {{"assign.1.1", Dealt(8, 8, "a")}, {"assign.1.2", Dealt(1, 2, "b")}},
       "1.2 b"},
      {"the newest was deleted", {{"assign.1.1", Dealt(1, 1, "a")}, {"assign.1.2", "gone"}}, "1.1 a"},
      {"the newest cannot be read: the older is not in force again",
       {{"assign.1.1", Dealt(1, 1, "a")}, {"assign.1.2", "{}"}},
       "1.2 trouble"},
      {"an older one cannot be read",
       {{"assign.1.1", "nonsense"}, {"assign.1.2", Dealt(1, 2, "b")}},
       "1.2 b"},
  };
  for (const Case& c : cases) {
    std::string text = "none";
    if (const auto found = AssignmentInForce(EntriesOf(c.keys))) {
      EXPECT_EQ(found->document.jobs.empty(), !found->trouble.ok()) << c.situation;
      text = StrCat(found->document.term, ".", found->document.number, " ",
                    found->trouble.ok() ? found->document.jobs[0].owners[0] : "trouble");
    }
    EXPECT_EQ(text, c.found) << c.situation;
  }
}

TEST(NewestTerm, IsThatOfTheGreatestKey) {
  struct Case {
    const char* situation;
    Keys keys;
    std::string found;  // term leader
  };
  const Case cases[] = {
      {"nothing there", {}, "none"},
      {"numbers, not letters, order them",
       {{"term.9", Encode(Term{9, "a", 1})}, {"term.10", Encode(Term{10, "b", 1})}},
       "10 b"},
      {"the key counts, not what the document says",
       {{"term.1", Encode(Term{9, "a", 1})}, {"term.2", Encode(Term{2, "b", 1})}},
       "2 b"},
      {"the newest cannot be read: its leader is unknown",
       {{"term.1", Encode(Term{1, "a", 1})}, {"term.2", "nonsense"}},
       "2 "},
  };
  for (const Case& c : cases) {
    const auto found = NewestTerm(EntriesOf(c.keys));
    EXPECT_EQ(found ? StrCat(found->document.term, " ", found->document.leader) : "none", c.found)
        << c.situation;
  }
}

}  // namespace
}  // namespace millrace
