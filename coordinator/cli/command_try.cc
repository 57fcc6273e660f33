// try: a job's stages here, on a file or a pipe.
#include <unistd.h>

#include "common/clock.h"
#include "common/handler/handler_stages.h"
#include "common/job/segments.h"
#include "common/log.h"
#include "common/partitioner.h"
#include "common/signals.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/ingest/input_paths.h"
#include "coordinator/ingest/input_reader.h"
#include "coordinator/local/call_watch.h"
#include "coordinator/local/local_run.h"
#include "coordinator/results/result_line.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

constexpr size_t kFlushBytes = 64 << 10;

// Prints results as `results` does, and dead letters on standard error.
class TryPrinter : public StepSink {
 public:
  explicit TryPrinter(uint32_t partitions) : partitions_(partitions) {}

  void Emit(const RecordView& record) override {
    AppendResultLine(record, PartitionOf(record.key, partitions_), &buffer_);
  }
  void Reject(const DeadLetter& letter) override {
    Refuse(StrCat("key `", letter.key, "`", letter.stage.empty() ? "" : ", stage ", letter.stage, ": ",
                  letter.error));
  }
  void Refuse(std::string_view why) {
    ++dead_letters_;
    Say(StrCat("dead letter: record ", record_, ", ", why));
  }
  void BeginRecord() { ++record_; }
  absl::Status Flush(size_t above) {
    if (buffer_.size() <= above) return absl::OkStatus();
    const absl::Status status = WriteOut(buffer_);
    buffer_.clear();
    return status;
  }
  uint64_t records() const { return record_; }
  uint64_t dead_letters() const { return dead_letters_; }

 private:
  const uint32_t partitions_;
  std::string buffer_;
  uint64_t record_ = 0;
  uint64_t dead_letters_ = 0;
};

// One line of the input. Only what fails the job is an error.
absl::Status TryLine(const InputLine& line, KeyExtractor& extractor, LocalRun& run, TryPrinter& printer) {
  printer.BeginRecord();
  const auto decoded = extractor.Decode(line.text);
  if (!decoded.ok()) {
    printer.Refuse(ToStd(decoded.status().message()));
    return absl::OkStatus();
  }
  return run.Feed(decoded->record, printer);
}

absl::Status TryInput(InputReader& input, KeyExtractor& extractor, LocalRun& run, TryPrinter& printer) {
  InputLine line;
  while (true) {
    if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
    const auto event = input.Next(&line);
    if (!event.ok()) return event.status();
    absl::Status status;
    switch (*event) {
      case InputReader::Event::kEnd:
        return run.Finish(printer);
      case InputReader::Event::kHeader:
        status = extractor.SetCsvHeader(line.text);
        break;
      case InputReader::Event::kTooLong:
        printer.BeginRecord();
        printer.Refuse(StrCat("the line has ", line.text_bytes, " bytes, more than source.max_record"));
        break;
      case InputReader::Event::kNotReady:
        // What is known should be seen while a pipe is slow.
        status = printer.Flush(0);
        SystemClock().Sleep(absl::Milliseconds(10));
        break;
      case InputReader::Event::kLine:
        status = TryLine(line, extractor, run, printer);
        break;
      case InputReader::Event::kRecord:
      case InputReader::Event::kBadRecord:
        return absl::InternalError("a file's records come as text");
    }
    if (status.ok()) status = printer.Flush(kFlushBytes);
    if (!status.ok()) return status;
  }
}

absl::Status Try(const std::string& path, const std::string& plugins, std::vector<std::string> inputs) {
  SetUpLogging("coordinator", LogLevel::kWarning, LogFormat::kText);  // standard output is for results
  CodeFiles files(plugins);
  const auto spec = LoadJob(path, files);
  if (!spec.ok()) return spec.status();
  if (inputs.empty()) inputs.emplace_back(kStandardInput);
  InputOptions options;
  options.max_line_bytes = spec->source.max_record_bytes;
  options.has_header = spec->source.format == Format::kCsv;
  const auto paths = ExpandInputs(inputs);
  if (!paths.ok()) return paths.status();
  const auto input = InputReader::Open(*paths, options);
  if (!input.ok()) return input.status();
  const auto extractor = KeyExtractor::Create(*spec);
  if (!extractor.ok()) return extractor.status();
  TryPrinter printer(PartitionsBySegment(*spec).back());
  CallWatch::Options watched;
  watched.stop_asked = [] { return StopSignals() > 0; };
  watched.give_up = [&](CallWatch::Why why, const std::string& stage, absl::Duration timeout) {
    printer.Flush(0).IgnoreError();
    if (why == CallWatch::Why::kInterrupted) _exit(kExitInterrupted);
    Say(StrCat("record ", printer.records(), ": ", DescribeGivenUp(why, stage, timeout)));
    _exit(kExitFailed);
  };
  CallWatch watch(SystemClock(), std::move(watched));
  watch.Start();
  for (const HandlerStage& stage : HandlerStagesOf(*spec, "local")) {
    if (stage.http != nullptr) Say(StrCat("stage ", stage.name, " calls ", stage.http->service.url));
  }
  LocalHandlers handlers({.name = "try", .check = CheckInterrupted}, SystemClock());
  const auto run = LocalRun::Create(*spec, &watch, &handlers);
  if (!run.ok()) return run.status();
  const absl::Status status = TryInput(**input, **extractor, **run, printer);
  const absl::Status flushed = printer.Flush(0);
  if (absl::IsAborted(status)) {
    return absl::AbortedError(
        StrCat("record ", printer.records(), " fails the job: ", ToStd(status.message())));
  }
  if (status.ok() && printer.dead_letters() > 0) {
    Say(StrCat(printer.dead_letters(), " of ", printer.records(), " records are dead letters"));
  }
  return status.ok() ? flushed : status;
}

}  // namespace

int RunTry(const Arguments& arguments) {
  std::string path, plugins;
  std::vector<std::string> inputs;
  CommandLine command(
      "coordinator try JOB.yaml [--input FILE|-]... [--plugins DIR]",
      "Runs a job's stages here, without a cluster, and prints the results in the input's order.",
      "coordinator try delays.yaml --input flights.jsonl");
  command.flags().Positional("JOB.yaml", &path);
  command.flags().Add(
      "input", &inputs, "FILE|-",
      "a file to read, also gzip, or a quoted pattern ('day-*.jsonl'); - is standard input, the default");
  AddPluginsFlag(command.flags(), &plugins);
  if (const auto exit = command.Parse(arguments)) return *exit;
  const absl::Status status = Try(path, plugins, inputs);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
