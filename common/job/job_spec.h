// A job as its file describes it: checked, with every default filled in. Made by job_parser.h; read by all
// the rest.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/job/code_file.h"
#include "common/step_version.h"

namespace millrace {

class LookupTable;  // common/pipeline/lookup_table.h
class Plugin;       // common/plugin/plugin.h

enum class Format { kJsonLines, kCsv, kRaw };

struct SourceSpec {
  // Where messages come from for ever; both empty: from what `submit` is given. Without `stream`, the stream
  // that holds `subject`, or one made for it; without `subject`, all of `stream`.
  std::string subject;
  std::string stream;
  Format format = Format::kJsonLines;
  std::map<std::string, std::string> types;  // csv: column -> "string" | "number"; the others are guessed
  uint64_t max_record_bytes = 1 << 20;       // `max_record`: a longer line is a dead letter

  bool unbounded() const { return !subject.empty() || !stream.empty(); }
};

// How the key of a record is found.
struct KeySpec {
  enum class Kind { kField, kFields, kLua, kWhole };  // kWhole: no `key:` with format raw; the value itself
  Kind kind = Kind::kField;
  std::vector<std::string> paths;  // kField: one; kFields: several
  std::string lua;                 // kLua: an expression over `r`
  std::string place = {};          // as in StageSpec
};

struct TimeSpec {
  std::string field;
  std::string format;      // strftime-like; empty: RFC 3339, epoch seconds or milliseconds
  std::string place = {};  // as in StageSpec
};

struct BackoffSpec {
  absl::Duration initial = absl::Milliseconds(100);
  absl::Duration maximum = absl::Seconds(10);
};

struct RetrySpec {
  int attempts = 1;  // in all, the first included
  BackoffSpec backoff;
};

enum class OnError { kDeadLetter, kSkip, kFail, kRetry };  // kRetry: retry, then dead letter

struct ErrorPolicy {
  OnError on_error = OnError::kDeadLetter;
  RetrySpec retry;
};

// Where user code stands in the job file.
struct CodePlace {
  int line = 0;            // of its beginning; 0: it is not in the file
  bool has_lines = false;  // its second line is the file's next one, and so on
};

// Which calls of a stage's code may run at the same time, where `concurrency` lets several.
enum class CallOrder {
  kKey,        // those of one key one after the other
  kPartition,  // likewise; what comes of them is put out in the order of the log, as in every mode
  kNone,       // all
};

// Settings of a stage that runs user code.
struct CodeSettings {
  std::string name;  // for messages and metrics; default: the stage's kind and position
  CodePlace place;
  absl::Duration timeout = absl::Seconds(2);
  std::optional<ErrorPolicy> errors;  // overrides the job's
  // In each worker: so many threads for Lua, above 1; so many batches out at handler processes. 0: the file does not
  // say; Lua runs with its partition then, and handlers have as many as they take.
  uint32_t concurrency = 0;
  CallOrder ordered = CallOrder::kKey;
};

struct FilterStage {
  std::string expression;
};
struct MapStage {
  std::string expression;                                   // used when fields is empty
  std::vector<std::pair<std::string, std::string>> fields;  // name -> expression, in the file's order
};
// Code in a shared library (docs/plugins.md).
struct PluginSpec {
  std::string file;                           // its name; empty: the stage's code is none
  std::shared_ptr<const Plugin> loaded = {};  // see common/code/code_files.h; null: nobody runs it here
};
struct FlatMapStage {
  std::string expression;   // empty: the plugin or handler processes do it
  std::string remote = {};  // the endpoint at which these are served (docs/handlers.md)
  PluginSpec plugin = {};
};
struct InspectStage {
  std::string expression;
};

enum class AggregateFunction { kCount, kSum, kMin, kMax, kAvg, kFirst, kLast, kDistinct };
// As job files write it: `count`.
std::string_view AggregateFunctionName(AggregateFunction function);
inline constexpr AggregateFunction kAggregateFunctions[] = {
    AggregateFunction::kCount, AggregateFunction::kSum,     AggregateFunction::kMin,
    AggregateFunction::kMax,   AggregateFunction::kAvg,     AggregateFunction::kFirst,
    AggregateFunction::kLast,  AggregateFunction::kDistinct};
struct AggregateColumn {
  std::string name;
  AggregateFunction function = AggregateFunction::kCount;
  std::string path;  // empty for kCount
};
struct EmitSpec {
  enum class Mode { kEach, kChanges, kFinal, kEvery };
  Mode mode = Mode::kEach;
  absl::Duration every;  // kEvery, in log time
};
struct AggregateStage {
  std::vector<AggregateColumn> columns;
  EmitSpec emit;
};
struct KeyedStage {
  std::string lua;          // empty: the plugin or handler processes do it
  std::string remote = {};  // as in FlatMapStage
  PluginSpec plugin = {};
};

// A service that is spoken to over HTTP.
struct HttpSpec {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  // values as FillSecrets takes them
  absl::Duration timeout;                                    // of one request; of a stage, its CodeSettings'
};

// How many records a stage that takes lists is given at once.
struct BatchSpec {
  uint32_t size = 0;                               // at most
  absl::Duration linger = absl::Milliseconds(20);  // a record waits for so long for company
};

// A request for each record; its answer goes into the record's new value. Expressions are over `r`.
struct CallStage {
  HttpSpec service;
  std::string method = "POST";
  std::string path;                                        // an expression; empty: nothing behind the URL
  std::vector<std::pair<std::string, std::string>> query;  // name -> expression, in the file's order
  std::string body;    // an expression; empty: the record, where the method has one
  std::string result;  // an expression over `response`, too
  RetrySpec retry = {5, {absl::Milliseconds(200), absl::Seconds(10)}};  // of the request
  uint32_t concurrency = 16;            // requests on their way, in each worker
  bool by_key = true;                   // one of a key after the other
  std::optional<BatchSpec> batch = {};  // of so many records a request; nullopt: of each its own
};

// Aggregates for each key and window of event time, put out when the window closes.
struct WindowStage {
  enum class Kind { kTumbling, kSliding, kSession };
  enum class Late { kDeadLetter, kDrop };
  Kind kind = Kind::kTumbling;
  absl::Duration size;      // kSession: the gap that ends one
  absl::Duration every;     // from one window's start to the next one's; kTumbling: as `size`
  absl::Duration lateness;  // a window stays open for so long behind its end
  Late late = Late::kDeadLetter;
  std::vector<AggregateColumn> columns;
};

// Hands on the first record of its kind for each key.
struct DedupeStage {
  std::string by;  // an expression: which kind
  // How long a kind is remembered, in log time; infinite: as long as the job's `ttl` says.
  absl::Duration within = absl::InfiniteDuration();
};

// Joins each record with a row of a table.
struct LookupStage {
  enum class Missing { kNull, kDrop, kError };
  std::string table;  // the name of a file
  std::string key;    // the column that a row is found by
  std::string by;     // an expression: what is looked for
  std::string as;     // the field that the row becomes
  Missing missing = Missing::kNull;
  std::shared_ptr<const LookupTable> loaded = {};  // as in PluginSpec
  std::shared_ptr<const std::string> text = {};    // the file, where the job is fresh from its own
};

// A token bucket: `count` records a `period`, and up to `burst` at once.
struct RateLimitStage {
  enum class Per { kKey, kStage };
  enum class Excess { kWait, kDrop, kDeadLetter };
  int64_t count = 1;
  absl::Duration period = absl::Seconds(1);  // a second, a minute or an hour
  int64_t burst = 1;
  Per per = Per::kKey;
  Excess excess = Excess::kWait;
};
inline constexpr int64_t kMaxRate = 1'000'000'000;  // of `count` and `burst`
// As job files write it: `100/s`.
std::string RateText(const RateLimitStage& limit);

// Ends a segment: what leaves it has a new key, and crosses into the partitions of the next.
struct KeyByStage {
  KeySpec key;
  uint32_t partitions = 0;  // of the next segment; 0: as many as the job's
};

struct StageSpec;

// One way through a BranchStage.
struct BranchSpec {
  std::string when;  // an expression; empty: takes what is left, or is one of a broadcast
  CodePlace code;    // of `when`
  std::vector<StageSpec> stages;
};

// Branches that come together again behind it.
struct BranchStage {
  enum class Kind {
    kPartition,  // a record takes the first branch whose `when` is true
    kBroadcast,  // a record takes all of them
  };
  Kind kind = Kind::kPartition;
  std::vector<BranchSpec> branches;
};

struct StageSpec {
  std::variant<FilterStage, MapStage, FlatMapStage, AggregateStage, KeyedStage, InspectStage, KeyByStage,
               WindowStage, DedupeStage, RateLimitStage, BranchStage, LookupStage, CallStage>
      what;
  CodeSettings code;
  std::string place;  // `FILE:LINE:COLUMN` or `--set PATH=VALUE`, as messages begin
};

// Results in batches, each a request.
struct HttpSinkSpec {
  enum class Format { kLines, kArray };  // of a request's body: JSON, an object a line or all in one array
  HttpSpec service;
  Format format = Format::kLines;
  uint32_t batch_records = 500;                     // at most
  absl::Duration linger = absl::Milliseconds(250);  // a result waits for so long for company
};

// Where results go. They are in the job's result streams first, whatever the sink, unless it is kNone.
struct SinkSpec {
  enum class Kind { kResults, kNone, kFile, kStream, kHttp };
  Kind kind = Kind::kResults;
  std::string file;  // kFile; a relative path is one of the coordinator that leads
  // kStream: messages of `subject`. Empty, the stream's only one; without `stream`, that which holds the subject.
  std::string stream;
  std::string subject;
  uint64_t rotate_bytes = 0;  // kFile: a part that has come to this size is followed by the next; 0: one file
  HttpSinkSpec http;          // kHttp

  bool keeps_results() const { return kind != Kind::kNone; }
  // The leading coordinator brings results out of the result streams (coordinator/sinks).
  bool goes_out() const { return kind == Kind::kFile || kind == Kind::kStream || kind == Kind::kHttp; }
};

// What a service answers in a test, to the next request of the stage.
struct TestCall {
  std::string stage;
  int status = 200;
  std::string body;
  bool is_json = false;
};

// One of the file's own tests: records in, results expected.
struct TestSpec {
  std::string name;
  std::vector<std::string> input;   // each a record in the source's format (JSON for a mapping in the file)
  std::vector<std::string> expect;  // each a JSON object {"key":…, "value":…}, in order for each key
  std::vector<std::string> dead_letters;  // each a substring of the error expected
  std::vector<TestCall> calls;
  int line = 0;
};

// What stays of a job's logs while it runs.
enum class Retain {
  kAll,
  kResults,  // the input of every segment goes once all kept checkpoints have passed it; results stay
};

struct JobSpec {
  std::string name;
  SourceSpec source;
  KeySpec key;
  std::optional<TimeSpec> time;
  uint32_t partitions = 16;
  std::vector<StageSpec> stages;
  SinkSpec sink;
  ErrorPolicy errors;
  absl::Duration commit_interval = absl::Seconds(1);
  Retain retain = Retain::kAll;
  uint32_t standbys = 0;  // workers that keep a copy of each partition's state, beside its owner
  absl::Duration ttl = absl::InfiniteDuration();  // in log time; StateExpiry
  // Nothing but the broker says when a record was, and a window wants to know: event time goes with log time.
  bool log_time_is_event_time = false;
  std::vector<TestSpec> tests;

  // What its stages consist of besides: of a job that was submitted, as it was found then (the job's record tells); of one
  // fresh from its file, as it was loaded.
  std::vector<CodeFile> files;

  std::string text;  // the file, as it was read (after --set): what is stored and compared
  std::map<std::string, std::string> places;  // of the file's own keys, as in StageSpec
  uint32_t step_version = StepVersion();      // the engine that it is written for
};

inline constexpr uint32_t kMaxPartitions = 4096;
inline constexpr uint32_t kMaxConcurrency = 256;
inline constexpr uint32_t kMaxStandbys = 1;
inline constexpr size_t kMaxJobFileBytes = 1 << 20;
inline constexpr size_t kMaxStages = 64;    // with those in branches
inline constexpr size_t kMaxBranches = 16;  // of one stage
inline constexpr int kMaxBranchDepth = 4;   // of branches in branches

// The error with `place` in front of it; as it is where that is empty.
absl::Status AtPlace(std::string_view place, const absl::Status& status);

// Both of the stage alone; what is in its branches speaks for itself (common/job/branches.h).
bool RunsLua(const StageSpec& stage);
// Whether it has tables of its own in the state (common/pipeline/stage.h).
bool KeepsState(const StageSpec& stage);
// Where the stage's code runs, when that is in handler processes; empty otherwise.
const std::string& RemoteOf(const StageSpec& stage);
// The stage's code where that is in a plugin; null otherwise.
const PluginSpec* PluginOf(const StageSpec& stage);
// Whether a stage looks records up in a table.
bool HasTables(const JobSpec& spec);
// Whether its code can run in a pool, of handler processes or, where it is Lua, of threads of the worker.
bool CanRunInPool(const StageSpec& stage);
// Whether its Lua code runs in a pool of threads, wherever there are any: not in `try`, `test`, `verify`, `replay`.
bool RunsInThreads(const StageSpec& stage);
// Whether any stage runs user code, and so whether it may give verdicts.
bool RunsUserCode(const JobSpec& spec);

}  // namespace millrace
