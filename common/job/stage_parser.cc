#include "common/job/stage_parser.h"

#include <algorithm>
#include <iterator>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_join.h"
#include "common/frame/frame.h"
#include "common/job/aggregate_parser.h"
#include "common/job/branch_parser.h"
#include "common/job/call_parser.h"
#include "common/job/dedupe_parser.h"
#include "common/job/error_policy_parser.h"
#include "common/job/key_parser.h"
#include "common/job/lookup_parser.h"
#include "common/job/rate_limit_parser.h"
#include "common/job/remote_parser.h"
#include "common/job/segments.h"
#include "common/job/window_parser.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kMinTimeout = absl::Milliseconds(1);
constexpr absl::Duration kMaxTimeout = absl::Hours(1);

const std::vector<std::string>& StageKinds() {
  static const auto& kinds = *new std::vector<std::string>{
      "filter", "map",  "flat_map", "aggregate", "keyed",     "window",  "dedupe", "rate_limit",
      "lookup", "call", "key_by",   "partition", "broadcast", "balance", "inspect"};
  return kinds;
}

std::string Expression(const YamlNode& value, std::string_view kind, std::string_view example,
                       YamlReader* reader) {
  return reader->Text(value, kind, "a Lua expression over `r`", example);
}

MapStage ParseMap(const YamlNode& value, YamlReader* reader) {
  constexpr std::string_view kExample = "map: { late: r.delay > 15 }";
  MapStage map;
  if (!value.IsMapping()) {
    map.expression = reader->Text(value, "map", "a Lua expression, or a mapping of them", kExample);
    return map;
  }
  if (value.entries.empty() || value.entries.size() > kMaxShapeFields) {
    reader->FailValue(value, "map", StrCat("1 to ", kMaxShapeFields, " fields"), kExample);
  }
  for (const YamlEntry& entry : value.entries) {
    map.fields.emplace_back(entry.key.text, Expression(entry.value, entry.key.text, kExample, reader));
  }
  return map;
}

// Which of the keys says where the stage's code is; null after a failure.
const YamlNode* CodeOf(const YamlNode& value, const std::vector<std::string>& keys, std::string_view what,
                       std::string_view example, YamlReader* reader) {
  reader->CheckKeys(value, what, keys);
  const YamlNode* found = nullptr;
  std::string first;
  for (const std::string& key : keys) {
    const YamlNode* const code = value.Find(key);
    if (code == nullptr) continue;
    if (found != nullptr) {
      reader->Fail(*code, StrCat("`", first, "` and `", key, "` in one stage"), "its code runs in one place",
                   "leave one of the two out");
      return nullptr;
    }
    found = code;
    first = key;
  }
  return found != nullptr ? found : reader->Required(value, keys.front(), what, example);
}

PluginSpec ParsePlugin(const YamlNode& value, YamlReader* reader) {
  constexpr std::string_view kExample = "plugin: fraud.so";
  PluginSpec plugin{reader->Text(value, "plugin", "the name of a file", kExample)};
  if (reader->ok() && !IsCodeFileName(plugin.file)) {
    reader->Fail(value, StrCat("`plugin: ", plugin.file, "` is no plain file name"),
                 "where plugins are is said where they run, by `--plugins DIR`",
                 StrCat("try `", kExample, "`"));
  }
  return plugin;
}

KeyedStage ParseKeyed(const YamlNode& value, YamlReader* reader) {
  constexpr std::string_view kExample = "keyed: { lua: 'state.n = (state.n or 0) + 1; emit(state.n)' }";
  KeyedStage keyed;
  if (!reader->Mapping(value, "keyed", kExample)) return keyed;
  const YamlNode* const code = CodeOf(value, {"lua", "remote", "plugin"}, "`keyed`", kExample, reader);
  if (code == nullptr) return keyed;
  if (code == value.Find("lua")) keyed.lua = reader->Text(*code, "lua", "Lua code", kExample);
  if (code == value.Find("remote")) keyed.remote = ParseRemote(*code, reader);
  if (code == value.Find("plugin")) keyed.plugin = ParsePlugin(*code, reader);
  return keyed;
}

FlatMapStage ParseFlatMap(const YamlNode& value, YamlReader* reader) {
  constexpr std::string_view kExample = "flat_map: { remote: ipc:///run/words-{worker}.sock }";
  FlatMapStage flat_map;
  if (!value.IsMapping()) {
    flat_map.expression = Expression(value, "flat_map", "flat_map: r.items", reader);
    return flat_map;
  }
  const YamlNode* const code = CodeOf(value, {"remote", "plugin"}, "`flat_map`", kExample, reader);
  if (code == nullptr) return flat_map;
  if (code == value.Find("remote")) flat_map.remote = ParseRemote(*code, reader);
  if (code == value.Find("plugin")) flat_map.plugin = ParsePlugin(*code, reader);
  return flat_map;
}

KeyByStage ParseKeyBy(const YamlNode& stage, YamlReader* reader) {
  KeyByStage key_by;
  key_by.key = ParseKey(*stage.Find("key_by"), "key_by", reader);
  if (const YamlNode* partitions = stage.Find("partitions")) {
    key_by.partitions = static_cast<uint32_t>(
        reader->Integer(*partitions, "partitions", 1, kMaxPartitions, "partitions: 16"));
  }
  return key_by;
}

// The key of `stage` that says what it does; empty after a failure.
std::string KindOf(const YamlNode& stage, YamlReader* reader) {
  std::string kind;
  for (const YamlEntry& entry : stage.entries) {
    if (std::find(StageKinds().begin(), StageKinds().end(), entry.key.text) == StageKinds().end()) continue;
    if (!kind.empty()) {
      const bool meant_inside = kind == "window" && entry.key.text == "aggregate";
      reader->Fail(entry.key, StrCat("`", entry.key.text, "` and `", kind, "` in one stage"),
                   "a stage does one thing",
                   meant_inside ? "write it as `window: { tumbling: 1h, aggregate: { … } }`"
                                : "begin the second with a `-` of its own");
    }
    kind = entry.key.text;
  }
  return kind;
}

// The keys that may stand beside a kind.
std::vector<std::string> SettingsOf(const std::string& kind) {
  if (kind == "aggregate") return {"name", "emit"};
  if (kind == "window") return {"name"};
  if (kind == "rate_limit" || kind == "broadcast") return {"name"};
  if (kind == "partition") return {"name", "timeout", "on_error", "retry"};
  if (kind == "key_by") return {"name", "partitions", "timeout", "on_error", "retry"};
  if (kind == "call") return {"name", "timeout", "on_error", "retry", "concurrency", "ordered", "batch"};
  return {"name", "timeout", "on_error", "retry", "concurrency", "ordered"};
}

void CheckStageKeys(const YamlNode& stage, const std::string& kind, YamlReader* reader) {
  std::vector<std::string> known = SettingsOf(kind);
  if (!kind.empty()) {
    known.insert(known.begin(), kind);
    std::vector<AbsentKey> absent;
    if (kind == "window") absent.push_back({"emit", "leave it out: a window is put out when it closes"});
    reader->CheckKeys(stage, StrCat("`", kind, "`"), known, absent);
    return;
  }
  // What is no setting is meant as the kind.
  YamlNode rest = stage;
  std::erase_if(rest.entries, [&](const YamlEntry& entry) {
    return entry.key.text == "emit" || entry.key.text == "partitions" ||
           std::find(known.begin(), known.end(), entry.key.text) != known.end();
  });
  reader->CheckKeys(rest, "a stage", StageKinds());
  reader->Fail(stage, "a stage without a kind", "it has to say what it does",
               StrCat("use one of ", absl::StrJoin(StageKinds(), ", ")));
}

// How many of the stage's calls may run at once. `inspect` and `dedupe` take one record at a time.
void ParsePoolSettings(const YamlNode& stage, StageSpec* spec, YamlReader* reader) {
  if (const YamlNode* concurrency = stage.Find("concurrency")) {
    spec->code.concurrency = static_cast<uint32_t>(
        reader->Integer(*concurrency, "concurrency", 1, kMaxConcurrency, "concurrency: 8"));
    if (spec->code.concurrency > 1 && !CanRunInPool(*spec)) {
      reader->Fail(*concurrency, StrCat("`concurrency: ", concurrency->text, "` for this stage"),
                   "it takes one record at a time in each partition", "leave it out, and raise `partitions`");
    }
  }
  const YamlNode* const ordered = stage.Find("ordered");
  if (ordered == nullptr) return;
  spec->code.ordered = reader->Choice<CallOrder>(
      *ordered, "ordered",
      {{"key", CallOrder::kKey}, {"partition", CallOrder::kPartition}, {"none", CallOrder::kNone}});
  if (spec->code.ordered == CallOrder::kNone && KeepsState(*spec)) {
    reader->Fail(*ordered, "`ordered: none` for a stage with `state`",
                 "each record of a key begins with the state that the one before it left",
                 "use `ordered: key`, or leave it out");
  }
}

// Where the code of a stage begins: the stage itself where it has none, or several expressions.
CodePlace PlaceOfCode(const YamlNode& stage, const std::string& kind) {
  const YamlNode* code = stage.Find(kind);
  if (code->IsMapping() && kind != "map")
    code = code->Find(kind == "dedupe" || kind == "lookup" ? "by" : kind == "call" ? "result" : "lua");
  if (code == nullptr || !code->IsScalar()) return {stage.line, false};
  return CodePlaceOf(*code);
}

// Of those that can have a pool and do not say how large, those in branches too. False: there is no stage with one.
bool SetConcurrency(uint32_t concurrency, std::vector<StageSpec>* stages) {
  bool any = false;
  for (StageSpec& stage : *stages) {
    if (CanRunInPool(stage)) {
      any = true;
      if (stage.code.concurrency == 0) stage.code.concurrency = concurrency;
    }
    auto* const branching = std::get_if<BranchStage>(&stage.what);
    if (branching == nullptr) continue;
    for (BranchSpec& branch : branching->branches) any |= SetConcurrency(concurrency, &branch.stages);
  }
  return any;
}

// Lists of stages, those in branches too, with what counts for all of them together.
class StageLists {
 public:
  explicit StageLists(YamlReader* reader) : reader_(reader) {}

  // `prefix`: of the positions in their default names. `depth`: how many branches the list is in.
  std::vector<StageSpec> Read(const YamlNode& stages, const std::string& prefix, int depth);

 private:
  StageSpec ReadStage(const YamlNode& stage, const std::string& position, int depth);
  BranchStage ReadBranches(const YamlNode& stage, const std::string& kind, const std::string& position,
                           int depth);
  std::vector<StageSpec> ReadBalance(const YamlNode& stage, const std::string& position, int depth);
  void CheckBeside(const YamlNode& stage, const StageSpec& spec, int depth);

  YamlReader* const reader_;
  absl::flat_hash_set<std::string> names_;
  size_t count_ = 0;
  size_t segments_ = 1;
};

std::vector<StageSpec> StageLists::Read(const YamlNode& stages, const std::string& prefix, int depth) {
  std::vector<StageSpec> specs;
  if (!reader_->Sequence(stages, "stages", "stages: [ { filter: r.delay > 0 } ]")) return specs;
  count_ += stages.items.size();
  if (count_ == 0 || count_ > kMaxStages) {
    reader_->Fail(stages,
                  StrCat("`stages` has ", count_, " of them", depth > 0 ? " with those before it" : ""),
                  StrCat("a job has 1 to ", kMaxStages), "try `stages: [ { filter: r.delay > 0 } ]`");
  }
  for (size_t i = 0; i < stages.items.size() && reader_->ok(); ++i) {
    if (stages.items[i].IsMapping() && stages.items[i].Find("balance") != nullptr) {
      std::vector<StageSpec> copied = ReadBalance(stages.items[i], StrCat(prefix, i), depth);
      std::move(copied.begin(), copied.end(), std::back_inserter(specs));
      continue;
    }
    specs.push_back(ReadStage(stages.items[i], StrCat(prefix, i), depth));
    if (reader_->ok()) CheckBeside(stages.items[i], specs.back(), depth);
  }
  return specs;
}

// What the others have to do with it.
void StageLists::CheckBeside(const YamlNode& stage, const StageSpec& spec, int depth) {
  if (!names_.insert(spec.code.name).second) {
    reader_->Fail(stage, StrCat("a second stage with the name ", Quoted(spec.code.name)),
                  "metrics and messages tell stages apart by it", "give it another `name`");
  }
  if (!std::holds_alternative<KeyByStage>(spec.what)) return;
  if (depth > 0) {
    reader_->Fail(stage, "`key_by` in a branch", "it ends a segment, for all records",
                  "put it in front of the branches, or behind them");
  }
  if (++segments_ > kMaxSegments) {
    reader_->Fail(stage, StrCat("`key_by` for the ", segments_ - 1, "th time"),
                  StrCat("a job has at most ", kMaxSegments, " segments"),
                  "submit the results of this job to a second one");
  }
}

// Copies of a chain that share its records by load are its stages, each with a pool of that many: what state there is
// stays one for each key.
std::vector<StageSpec> StageLists::ReadBalance(const YamlNode& stage, const std::string& position,
                                               int depth) {
  constexpr std::string_view kExample = "{ balance: 4, stages: [ { map: r } ] }";
  reader_->CheckKeys(stage, "`balance`", {"balance", "stages"});
  const auto copies = static_cast<uint32_t>(
      reader_->Integer(*stage.Find("balance"), "balance", 1, kMaxConcurrency, "balance: 4"));
  const YamlNode* const stages = reader_->Required(stage, "stages", "`balance`", kExample);
  if (stages == nullptr || !reader_->ok()) return {};
  std::vector<StageSpec> specs = Read(*stages, StrCat(position, "-"), depth + 1);
  if (reader_->ok() && !SetConcurrency(copies, &specs)) {
    reader_->Fail(*stages, "`balance` over stages that run no code in copies",
                  "only `filter`, `map`, `flat_map` and `keyed` do", "leave `balance` out");
  }
  return specs;
}

BranchStage StageLists::ReadBranches(const YamlNode& stage, const std::string& kind,
                                     const std::string& position, int depth) {
  if (depth >= kMaxBranchDepth) {
    reader_->Fail(stage, StrCat("branches in branches, ", depth + 1, " deep"),
                  StrCat("they are at most ", kMaxBranchDepth, " deep"),
                  "put several conditions into one `partition`");
  }
  const auto read = [&](const YamlNode& stages, size_t branch) {
    return Read(stages, StrCat(position, "-", branch, "-"), depth + 1);
  };
  return ParseBranches(*stage.Find(kind),
                       kind == "partition" ? BranchStage::Kind::kPartition : BranchStage::Kind::kBroadcast,
                       read, reader_);
}

StageSpec StageLists::ReadStage(const YamlNode& stage, const std::string& position, int depth) {
  YamlReader* const reader = reader_;
  StageSpec spec;
  spec.place = reader->PlaceOf(stage);
  if (!reader->Mapping(stage, "stages", "- filter: r.delay > 0")) return spec;
  const std::string kind = KindOf(stage, reader);
  CheckStageKeys(stage, kind, reader);
  if (!reader->ok()) return spec;

  const YamlNode& value = *stage.Find(kind);
  if (kind == "filter") spec.what = FilterStage{Expression(value, kind, "filter: r.delay > 0", reader)};
  if (kind == "map") spec.what = ParseMap(value, reader);
  if (kind == "flat_map") spec.what = ParseFlatMap(value, reader);
  if (kind == "aggregate") spec.what = ParseAggregate(stage, reader);
  if (kind == "keyed") spec.what = ParseKeyed(value, reader);
  if (kind == "window") spec.what = ParseWindow(value, reader);
  if (kind == "dedupe") spec.what = ParseDedupe(value, reader);
  if (kind == "lookup") spec.what = ParseLookup(value, reader);
  if (kind == "rate_limit") spec.what = ParseRateLimit(value, reader);
  if (kind == "call") spec.what = ParseCall(stage, reader);
  if (kind == "key_by") spec.what = ParseKeyBy(stage, reader);
  if (kind == "partition" || kind == "broadcast") spec.what = ReadBranches(stage, kind, position, depth);
  if (kind == "inspect") spec.what = InspectStage{Expression(value, kind, "inspect: r.delay > 60", reader)};

  spec.code.name = StrCat(kind, "-", position);
  spec.code.place = PlaceOfCode(stage, kind);
  if (const YamlNode* name = stage.Find("name")) {
    spec.code.name = reader->Text(*name, "name", "letters, digits, _ and -", "name: late-only");
    if (!IsValidName(spec.code.name)) {
      reader->FailValue(*name, "name", "1 to 64 letters, digits, _ and -", "name: late-only");
    }
  }
  if (kind == "call") spec.code.timeout = kCallTimeout;
  if (const YamlNode* timeout = stage.Find("timeout")) {
    spec.code.timeout = reader->Duration(*timeout, "timeout", kMinTimeout, kMaxTimeout, "timeout: 2s");
  }
  if (kind == "call") {
    spec.code.errors = ParseCallErrors(stage, reader);
    return spec;
  }
  spec.code.errors = ParseErrorPolicy(stage, reader);
  ParsePoolSettings(stage, &spec, reader);
  return spec;
}

}  // namespace

CodePlace CodePlaceOf(const YamlNode& scalar) {
  return scalar.literal ? CodePlace{scalar.line + 1, true} : CodePlace{scalar.line, false};
}

std::vector<StageSpec> ParseStages(const YamlNode& stages, YamlReader* reader) {
  return StageLists(reader).Read(stages, "", 0);
}

}  // namespace millrace
