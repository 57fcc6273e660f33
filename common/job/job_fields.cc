#include "common/job/job_fields.h"

#include "absl/strings/str_join.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

std::string FormatName(Format format) {
  switch (format) {
    case Format::kJsonLines:
      return "jsonl";
    case Format::kCsv:
      return "csv";
    case Format::kRaw:
      return "raw";
  }
  return "";
}

std::string SinkName(const SinkSpec& sink) {
  switch (sink.kind) {
    case SinkSpec::Kind::kResults:
      return "results";
    case SinkSpec::Kind::kNone:
      return "none";
    case SinkSpec::Kind::kFile:
      return "file";
    case SinkSpec::Kind::kStream:
      return "stream";
    case SinkSpec::Kind::kHttp:
      return "http";
  }
  return "";
}

std::string KeyText(const KeySpec& key) {
  switch (key.kind) {
    case KeySpec::Kind::kField:
      return key.paths.front();
    case KeySpec::Kind::kFields:
      return StrCat("[", absl::StrJoin(key.paths, ", "), "]");
    case KeySpec::Kind::kLua:
      return StrCat("lua: ", key.lua);
    case KeySpec::Kind::kWhole:
      return "the whole record";
  }
  return "";
}

std::string ErrorsText(const ErrorPolicy& errors) {
  switch (errors.on_error) {
    case OnError::kDeadLetter:
      return "dead_letter";
    case OnError::kSkip:
      return "skip";
    case OnError::kFail:
      return "fail";
    case OnError::kRetry:
      return StrCat("retry, ", errors.retry.attempts, " attempts, ",
                    millrace::FormatDuration(errors.retry.backoff.initial), "..",
                    millrace::FormatDuration(errors.retry.backoff.maximum));
  }
  return "";
}

std::string ColumnText(const AggregateColumn& column) {
  return StrCat(AggregateFunctionName(column.function), "(", column.path, ")");
}

std::string EmitText(const EmitSpec& emit) {
  switch (emit.mode) {
    case EmitSpec::Mode::kEach:
      return "each";
    case EmitSpec::Mode::kChanges:
      return "changes";
    case EmitSpec::Mode::kFinal:
      return "final";
    case EmitSpec::Mode::kEvery:
      return StrCat("every ", millrace::FormatDuration(emit.every));
  }
  return "";
}

// Adds what a stage does, below its path.
struct WorkFields {
  const std::string& path;
  JobFields* fields;

  void operator()(const FilterStage& stage) const { Add("filter", stage.expression); }
  void operator()(const FlatMapStage& stage) const {
    Add("flat_map", !stage.remote.empty()        ? StrCat("{remote: ", stage.remote, "}")
                    : !stage.plugin.file.empty() ? StrCat("{plugin: ", stage.plugin.file, "}")
                                                 : stage.expression);
  }
  void operator()(const InspectStage& stage) const { Add("inspect", stage.expression); }
  void operator()(const KeyedStage& stage) const {
    if (!stage.remote.empty()) return Add("keyed.remote", stage.remote);
    stage.plugin.file.empty() ? Add("keyed.lua", stage.lua) : Add("keyed.plugin", stage.plugin.file);
  }
  void operator()(const KeyByStage& stage) const {
    Add("key_by", KeyText(stage.key));
    Add("partitions", stage.partitions == 0 ? "the job's" : StrCat(stage.partitions));
  }
  void operator()(const DedupeStage& stage) const {
    Add("dedupe.by", stage.by);
    Add("dedupe.within",
        stage.within == absl::InfiniteDuration() ? "the job's ttl" : millrace::FormatDuration(stage.within));
  }
  void operator()(const LookupStage& stage) const {
    constexpr const char* kMissing[] = {"null", "drop", "error"};
    Add("lookup.table", stage.table);
    Add("lookup.key", stage.key);
    Add("lookup.by", stage.by);
    Add("lookup.as", stage.as);
    Add("lookup.missing", kMissing[static_cast<size_t>(stage.missing)]);
  }
  void operator()(const RateLimitStage& stage) const {
    constexpr const char* kExcess[] = {"wait", "drop", "dead_letter"};
    Add("rate_limit.rate", RateText(stage));
    Add("rate_limit.burst", StrCat(stage.burst));
    Add("rate_limit.per", stage.per == RateLimitStage::Per::kKey ? "key" : "stage");
    Add("rate_limit.excess", kExcess[static_cast<size_t>(stage.excess)]);
  }
  void operator()(const CallStage& stage) const {
    Add("call.http", stage.service.url);
    Add("call.method", stage.method);
    if (!stage.path.empty()) Add("call.path", stage.path);
    for (const auto& [name, expression] : stage.query) Add(StrCat("call.query.", name), expression);
    if (!stage.body.empty()) Add("call.body", stage.body);
    for (const auto& [name, text] : stage.service.headers) Add(StrCat("call.headers.", name), text);
    Add("call.result", stage.result);
    Add("retry",
        StrCat(stage.retry.attempts, " attempts, ", millrace::FormatDuration(stage.retry.backoff.initial),
               "..", millrace::FormatDuration(stage.retry.backoff.maximum)));
    Add("concurrency", StrCat(stage.concurrency));
    Add("ordered", stage.by_key ? "key" : "none");
    if (!stage.batch.has_value()) return;
    Add("batch.size", StrCat(stage.batch->size));
    Add("batch.linger", millrace::FormatDuration(stage.batch->linger));
  }
  void operator()(const BranchStage& stage) const {
    const char* const kind = stage.kind == BranchStage::Kind::kPartition ? "partition" : "broadcast";
    Add(kind, StrCat(stage.branches.size(), " branches"));
    for (size_t b = 0; b < stage.branches.size(); ++b) {
      const std::string branch = StrCat(kind, ".", b);
      const std::vector<StageSpec>& stages = stage.branches[b].stages;
      if (stage.kind == BranchStage::Kind::kPartition) Add(branch + ".when", stage.branches[b].when);
      Add(branch + ".stages", StrCat(stages.size(), " stages"));
      for (size_t i = 0; i < stages.size(); ++i) {
        const JobFields inner = StageFields(StrCat(path, ".", branch, ".stages.", i), stages[i]);
        fields->insert(fields->end(), inner.begin(), inner.end());
      }
    }
  }
  void operator()(const MapStage& stage) const {
    std::vector<std::string> names;
    for (const auto& [name, expression] : stage.fields) names.push_back(name);
    Add("map", stage.fields.empty() ? stage.expression : StrCat("{", absl::StrJoin(names, ", "), "}"));
    for (const auto& [name, expression] : stage.fields) Add("map." + name, expression);
  }
  void operator()(const AggregateStage& stage) const {
    AddColumns("aggregate", stage.columns);
    Add("emit", EmitText(stage.emit));
  }

  void operator()(const WindowStage& stage) const {
    const std::string size = millrace::FormatDuration(stage.size);
    switch (stage.kind) {
      case WindowStage::Kind::kTumbling:
        Add("window", StrCat("tumbling ", size));
        break;
      case WindowStage::Kind::kSliding:
        Add("window", StrCat("sliding ", size, " every ", millrace::FormatDuration(stage.every)));
        break;
      case WindowStage::Kind::kSession:
        Add("window", StrCat("session ", size));
        break;
    }
    Add("window.lateness", millrace::FormatDuration(stage.lateness));
    Add("window.late", stage.late == WindowStage::Late::kDrop ? "drop" : "dead_letter");
    AddColumns("window.aggregate", stage.columns);
  }

  void AddColumns(const std::string& key, const std::vector<AggregateColumn>& columns) const {
    std::vector<std::string> names;
    for (const AggregateColumn& column : columns) names.push_back(column.name);
    Add(key, StrCat("{", absl::StrJoin(names, ", "), "}"));
    for (const AggregateColumn& column : columns) Add(StrCat(key, ".", column.name), ColumnText(column));
  }
  void Add(const std::string& key, const std::string& value) const {
    fields->emplace_back(StrCat(path, ".", key), value);
  }
};

}  // namespace

JobFields TopFields(const JobSpec& spec) {
  std::vector<std::string> types;
  for (const auto& [column, type] : spec.source.types) types.push_back(StrCat(column, ": ", type));
  return {{"name", spec.name},
          {"partitions", StrCat(spec.partitions)},
          {"key", KeyText(spec.key)},
          {"source.format", FormatName(spec.source.format)},
          {"source.subject", spec.source.subject},
          {"source.stream", spec.source.stream},
          {"source.types", StrCat("{", absl::StrJoin(types, ", "), "}")},
          {"source.max_record", StrCat(spec.source.max_record_bytes)},
          {"time.field", spec.time ? spec.time->field : "none"},
          {"time.format", spec.time ? spec.time->format : ""},
          {"sink", SinkName(spec.sink)},
          {"sink.file", spec.sink.file},
          {"sink.stream", spec.sink.stream},
          {"sink.subject", spec.sink.subject},
          {"sink.rotate", StrCat(spec.sink.rotate_bytes)},
          {"on_error", ErrorsText(spec.errors)},
          {"commit.interval", millrace::FormatDuration(spec.commit_interval)},
          {"retain", spec.retain == Retain::kAll ? "all" : "results"},
          {"standby", StrCat(spec.standbys)},
          {"ttl", spec.ttl == absl::InfiniteDuration() ? "never" : millrace::FormatDuration(spec.ttl)}};
}

JobFields StageFields(const std::string& path, const StageSpec& stage) {
  JobFields fields;
  std::visit(WorkFields{path, &fields}, stage.what);
  fields.emplace_back(path + ".name", stage.code.name);
  fields.emplace_back(path + ".timeout", millrace::FormatDuration(stage.code.timeout));
  fields.emplace_back(path + ".on_error", stage.code.errors ? ErrorsText(*stage.code.errors) : "the job's");
  const CallOrder ordered = stage.code.ordered;
  fields.emplace_back(path + ".concurrency",
                      stage.code.concurrency == 0 ? "not said" : StrCat(stage.code.concurrency));
  fields.emplace_back(path + ".ordered", ordered == CallOrder::kKey         ? "key"
                                         : ordered == CallOrder::kPartition ? "partition"
                                                                            : "none");
  return fields;
}

}  // namespace millrace
