#include "common/job/dedupe_parser.h"

namespace millrace {
namespace {

constexpr std::string_view kDedupeExample = "dedupe: { by: r.id, within: 1h }";
constexpr absl::Duration kMinWithin = absl::Milliseconds(1);
constexpr absl::Duration kMaxWithin = absl::Hours(24 * 3653);

}  // namespace

DedupeStage ParseDedupe(const YamlNode& value, YamlReader* reader) {
  DedupeStage dedupe;
  if (!reader->Mapping(value, "dedupe", kDedupeExample)) return dedupe;
  reader->CheckKeys(value, "`dedupe`", {"by", "within"});
  if (const YamlNode* by = reader->Required(value, "by", "`dedupe`", kDedupeExample)) {
    dedupe.by = reader->Text(*by, "by", "a Lua expression over `r`", kDedupeExample);
  }
  if (const YamlNode* within = value.Find("within")) {
    dedupe.within = reader->Duration(*within, "within", kMinWithin, kMaxWithin, kDedupeExample);
  }
  return dedupe;
}

}  // namespace millrace
