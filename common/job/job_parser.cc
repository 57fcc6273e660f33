#include "common/job/job_parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/bus/subjects.h"
#include "common/job/aggregate_parser.h"
#include "common/job/branches.h"
#include "common/job/error_policy_parser.h"
#include "common/job/key_parser.h"
#include "common/job/remote_parser.h"
#include "common/job/sink_parser.h"
#include "common/job/stage_parser.h"
#include "common/job/test_parser.h"
#include "common/job/yaml_reader.h"
#include "common/job/yaml_sets.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr uint64_t kMaxRecordBytes = 64 << 20;  // what a NATS server can be configured to take
constexpr absl::Duration kMinCommitInterval = absl::Milliseconds(10);
constexpr absl::Duration kMaxCommitInterval = absl::Hours(1);
constexpr absl::Duration kMinTtl = absl::Seconds(1);
constexpr absl::Duration kMaxTtl = absl::Hours(24 * 3653);

// A source that never ends.
void ParseMessages(const YamlNode& value, SourceSpec* source, YamlReader* reader) {
  if (const YamlNode* subject = value.Find("subject")) {
    source->subject = subject->text;
    if (!subject->IsScalar() || !IsSourceSubject(source->subject)) {
      reader->FailValue(*subject, "subject", "a NATS subject of your own, which may hold * and end with >",
                        "subject: flights.>");
    }
  }
  if (const YamlNode* stream = value.Find("stream")) {
    source->stream = stream->text;
    if (!stream->IsScalar() || !IsSourceStream(source->stream)) {
      reader->FailValue(*stream, "stream", "the name of a JetStream stream of your own", "stream: FLIGHTS");
    }
  }
  if (source->unbounded() && source->format == Format::kCsv) {
    reader->Fail(value, "csv messages", "a message has no header row that names its columns",
                 "use `format: jsonl`, or `raw`");
  }
}

SourceSpec ParseSource(const YamlNode& value, YamlReader* reader) {
  SourceSpec source;
  if (!reader->Mapping(value, "source", "source: { format: jsonl }")) return source;
  reader->CheckKeys(value, "`source`", {"format", "types", "max_record", "subject", "stream"});
  if (const YamlNode* format = value.Find("format")) {
    source.format = reader->Choice<Format>(
        *format, "format", {{"jsonl", Format::kJsonLines}, {"csv", Format::kCsv}, {"raw", Format::kRaw}});
  }
  if (const YamlNode* max_record = value.Find("max_record")) {
    source.max_record_bytes = reader->Size(*max_record, "max_record", 1, kMaxRecordBytes, "max_record: 1MiB");
  }
  ParseMessages(value, &source, reader);
  const YamlNode* types = value.Find("types");
  if (types == nullptr || !reader->Mapping(*types, "types", "types: { zip: string }")) return source;
  if (source.format != Format::kCsv) {
    reader->Fail(*types, "`types` without csv", "only csv values have no type of their own", "leave it out");
  }
  for (const YamlEntry& column : types->entries) {
    source.types[column.key.text] = reader->Choice<std::string>(column.value, column.key.text,
                                                                {{"string", "string"}, {"number", "number"}});
  }
  return source;
}

TimeSpec ParseTime(const YamlNode& value, YamlReader* reader) {
  constexpr std::string_view kExample = "time: { field: date, format: '%Y/%m/%d %H:%M' }";
  TimeSpec time;
  time.place = reader->PlaceOf(value);
  if (!reader->Mapping(value, "time", kExample)) return time;
  reader->CheckKeys(value, "`time`", {"field", "format"});
  if (const YamlNode* field = reader->Required(value, "field", "`time`", kExample)) {
    time.field = reader->Text(*field, "field", "a field or a path such as a.b", kExample);
    if (!time.field.empty() && !IsPath(time.field)) {
      reader->FailValue(*field, "field", "a field or a path such as a.b", kExample);
    }
  }
  if (const YamlNode* format = value.Find("format")) {
    time.place = reader->PlaceOf(*format);
    time.format = reader->Text(*format, "format", "a strptime format", kExample);
    if (!time.format.empty() && (time.format.find('%') == std::string::npos || time.format.back() == '%')) {
      reader->FailValue(*format, "format", "a strptime format with %Y %m %d …", kExample);
    }
  }
  return time;
}

void ParseCommit(const YamlNode& value, JobSpec* spec, YamlReader* reader) {
  if (!reader->Mapping(value, "commit", "commit: { interval: 1s }")) return;
  reader->CheckKeys(value, "`commit`", {"interval"});
  if (const YamlNode* interval =
          reader->Required(value, "interval", "`commit`", "commit: { interval: 1s }")) {
    spec->commit_interval = reader->Duration(*interval, "interval", kMinCommitInterval, kMaxCommitInterval,
                                             "commit: { interval: 1s }");
  }
}

void ParseRetain(const YamlNode& value, JobSpec* spec, YamlReader* reader) {
  if (value.text == "none") {
    reader->FailAbsent(value, "retain: none", "use `retain: results`, and delete the job when it is done");
  }
  spec->retain =
      reader->Choice<Retain>(value, "retain", {{"all", Retain::kAll}, {"results", Retain::kResults}});
}

void ParseName(const YamlNode& root, JobSpec* spec, YamlReader* reader) {
  const YamlNode* name = reader->Required(root, "name", "a job", "name: delays");
  if (name == nullptr) return;
  spec->name = name->text;
  if (!name->IsScalar() || !IsValidName(spec->name)) {
    reader->FailValue(*name, "name", "1 to 64 letters, digits, _ and -", "name: delays");
  }
}

JobSpec ParseRoot(const YamlNode& root, YamlReader* reader) {
  JobSpec spec;
  if (!root.IsMapping()) {
    reader->Fail(root, "no job", "a job file is a mapping with `name`, `source`, `key` and `stages`",
                 "try `coordinator check --help` for an example");
    return spec;
  }
  reader->CheckKeys(root, "a job",
                    {"name", "source", "key", "time", "partitions", "stages", "sink", "on_error", "retry",
                     "commit", "retain", "standby", "ttl", "tests"});
  for (const YamlEntry& entry : root.entries) spec.places[entry.key.text] = reader->PlaceOf(entry.value);
  ParseName(root, &spec, reader);
  if (const YamlNode* source = root.Find("source")) spec.source = ParseSource(*source, reader);
  if (const YamlNode* key = root.Find("key")) {
    spec.key = ParseKey(*key, "key", reader);
  } else if (spec.source.format == Format::kRaw) {
    spec.key.kind = KeySpec::Kind::kWhole;
  } else {
    reader->Required(root, "key", "a job whose source is not raw", "key: origin");
  }
  if (const YamlNode* time = root.Find("time")) spec.time = ParseTime(*time, reader);
  if (const YamlNode* partitions = root.Find("partitions")) {
    spec.partitions = static_cast<uint32_t>(
        reader->Integer(*partitions, "partitions", 1, kMaxPartitions, "partitions: 16"));
  }
  if (const YamlNode* stages =
          reader->Required(root, "stages", "a job", "stages: [ { filter: r.delay > 0 } ]")) {
    spec.stages = ParseStages(*stages, reader);
  }
  const std::vector<const StageSpec*> stages = AllStages(spec.stages);
  spec.log_time_is_event_time = !spec.time.has_value() && !spec.source.unbounded() &&
                                std::any_of(stages.begin(), stages.end(), [](const StageSpec* stage) {
                                  return std::holds_alternative<WindowStage>(stage->what);
                                });
  if (const YamlNode* sink = root.Find("sink")) spec.sink = ParseSink(*sink, spec.source, reader);
  spec.errors = ParseErrorPolicy(root, reader).value_or(ErrorPolicy{});
  if (const YamlNode* commit = root.Find("commit")) ParseCommit(*commit, &spec, reader);
  if (const YamlNode* retain = root.Find("retain")) ParseRetain(*retain, &spec, reader);
  if (const YamlNode* standby = root.Find("standby")) {
    spec.standbys =
        static_cast<uint32_t>(reader->Integer(*standby, "standby", 0, kMaxStandbys, "standby: 1"));
  }
  if (const YamlNode* ttl = root.Find("ttl")) {
    spec.ttl = reader->Duration(*ttl, "ttl", kMinTtl, kMaxTtl, "ttl: 30d");
  }
  if (const YamlNode* tests = root.Find("tests")) spec.tests = ParseTests(*tests, spec.source.format, reader);
  return spec;
}

}  // namespace

absl::StatusOr<JobSpec> ParseJob(std::string_view file_name, std::string_view text,
                                 const std::vector<std::string>& sets) {
  absl::StatusOr<YamlNode> root = ParseYaml(file_name, text, kMaxJobFileBytes);
  if (!root.ok()) return root.status();
  for (size_t i = 0; i < sets.size(); ++i) {
    if (absl::Status status = ApplySet(sets[i], i, &*root); !status.ok()) return status;
  }
  YamlReader reader(std::string(file_name), sets);
  JobSpec spec = ParseRoot(*root, &reader);
  if (!reader.ok()) return reader.status();
  if (absl::Status status = CheckRemotes(spec.stages); !status.ok()) return status;
  spec.text = sets.empty() ? std::string(text) : EmitYaml(*root);
  if (!sets.empty()) {
    // What is stored must be readable by whoever takes the job from the store.
    if (absl::Status stored = ParseYaml(file_name, spec.text, kMaxJobFileBytes).status(); !stored.ok())
      return stored;
  }
  return spec;
}

}  // namespace millrace
