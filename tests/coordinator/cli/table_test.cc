#include "coordinator/cli/table.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using TableJson = nlohmann::ordered_json;

TEST(FormatTableTest, AlignsTextLeftAndNumbersRightUnderTheirTitles) {
  const TableJson rows = TableJson::parse(R"([{"job":"delays","lag":7},{"job":"x","lag":12345}])");
  EXPECT_EQ(FormatTable({{"job", "JOB"}, {"lag", "LAG"}}, rows, TableStyle::kPlain),
            "JOB       LAG\n"
            "delays      7\n"
            "x       12345\n");
}

TEST(FormatTableTest, ShowsADashForWhatIsMissingNullOrEmpty) {
  const TableJson rows = TableJson::parse(R"([{"a":null,"b":""},{}])");
  EXPECT_EQ(FormatTable({{"a", "A"}, {"b", "B"}}, rows, TableStyle::kPlain), "A  B\n-  -\n-  -\n");
}

TEST(FormatTableTest, CountsCharactersNotBytes) {
  const TableJson rows = TableJson::parse(R"([{"a":"é","b":"x"},{"a":"ab","b":"y"}])");
  EXPECT_EQ(FormatTable({{"a", "A"}, {"b", "B"}}, rows, TableStyle::kPlain), "A   B\né   x\nab  y\n");
}

TEST(FormatTableTest, KeepsOneLineARowWhateverACellHolds) {
  const TableJson rows = TableJson::array({{{"a", "x\ny\x1b[31m"}, {"b", {{"c", "\x7f"}}}}});
  EXPECT_EQ(FormatTable({{"a", "A"}, {"b", "B"}}, rows, TableStyle::kPlain),
            "A             B\nx\\ny\\x1b[31m  {\"c\":\"\\x7f\"}\n");
}

}  // namespace
}  // namespace millrace
