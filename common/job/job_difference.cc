#include "common/job/job_difference.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "common/job/job_fields.h"
#include "common/job/yaml_tree.h"
#include "common/strings.h"

namespace millrace {
namespace {

JobFields FieldsOf(const JobSpec& spec) {
  JobFields fields = TopFields(spec);
  fields.emplace_back("stages", StrCat(spec.stages.size(), " stages"));
  for (size_t i = 0; i < spec.stages.size(); ++i) {
    const JobFields stage = StageFields(StrCat("stages.", i), spec.stages[i]);
    fields.insert(fields.end(), stage.begin(), stage.end());
  }
  for (const CodeFile& file : spec.files) fields.emplace_back(file.name, StrCat("sha256 ", file.sha256));
  return fields;
}

std::optional<std::string> ValueAt(const JobFields& fields, const std::string& path) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == path; });
  return found == fields.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::string DescribeDifference(const JobSpec& before, const JobSpec& after) {
  const JobFields old_fields = FieldsOf(before), new_fields = FieldsOf(after);
  for (const auto& [path, old_value] : old_fields) {
    const std::optional<std::string> new_value = ValueAt(new_fields, path);
    if (!new_value) return StrCat("`", path, "` was ", Quoted(old_value), ", is not there");
    if (*new_value != old_value)
      return StrCat("`", path, "` was ", Quoted(old_value), ", is ", Quoted(*new_value));
  }
  for (const auto& [path, new_value] : new_fields) {
    if (!ValueAt(old_fields, path)) return StrCat("`", path, "` was not there, is ", Quoted(new_value));
  }
  return "";
}

}  // namespace millrace
