#include "common/job/branch_parser.h"

#include <string>
#include <string_view>

#include "common/job/stage_parser.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kPartitionExample =
    "partition: [ { when: r.urgent, stages: [ { map: r } ] }, { stages: [] } ]";
constexpr std::string_view kBroadcastExample = "broadcast: [ { stages: [ { map: r } ] }, { stages: [] } ]";

}  // namespace

BranchStage ParseBranches(const YamlNode& value, BranchStage::Kind kind, StageListReader read_stages,
                          YamlReader* reader) {
  const bool parts = kind == BranchStage::Kind::kPartition;
  const std::string_view name = parts ? "partition" : "broadcast";
  const std::string_view example = parts ? kPartitionExample : kBroadcastExample;
  BranchStage stage;
  stage.kind = kind;
  if (!reader->Sequence(value, name, example)) return stage;
  if (value.items.empty() || value.items.size() > kMaxBranches) {
    reader->Fail(value, StrCat("`", name, "` has ", value.items.size(), " branches"),
                 StrCat("it takes 1 to ", kMaxBranches), StrCat("try `", example, "`"));
  }
  for (size_t i = 0; i < value.items.size() && reader->ok(); ++i) {
    const YamlNode& item = value.items[i];
    BranchSpec branch;
    if (!reader->Mapping(item, name, example)) break;
    const std::vector<std::string> keys =
        parts ? std::vector<std::string>{"when", "stages"} : std::vector<std::string>{"stages"};
    reader->CheckKeys(item, StrCat("a branch of `", name, "`"), keys);
    if (const YamlNode* when = parts ? item.Find("when") : nullptr) {
      branch.when = reader->Text(*when, "when", "a Lua expression over `r`", kPartitionExample);
      branch.code = CodePlaceOf(*when);
    } else if (parts && i + 1 < value.items.size()) {
      reader->Fail(item, "a branch without `when` in front of another",
                   "it takes every record that comes to it", "give it a `when`, or put it last");
    }
    if (const YamlNode* stages = reader->Required(item, "stages", "a branch", example)) {
      branch.stages = read_stages(*stages, i);
    }
    stage.branches.push_back(std::move(branch));
  }
  return stage;
}

}  // namespace millrace
