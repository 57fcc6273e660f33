#include "common/job/sink_parser.h"

#include <string>
#include <string_view>

#include "common/bus/subjects.h"
#include "common/job/http_parser.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr uint64_t kMinRotateBytes = 1 << 20;  // each part costs a few syncs
constexpr uint64_t kMaxRotateBytes = uint64_t{1} << 50;
constexpr size_t kMaxSinkPathBytes = 4000;  // with room for what is put behind it
constexpr char kFileExample[] = "sink: { file: out.jsonl }";
constexpr char kExamples[] = "sink: { file: out.jsonl }`, or `sink: { subject: totals.out }";
constexpr int64_t kMaxBatchRecords = 10'000;
constexpr absl::Duration kMinLinger = absl::Milliseconds(1);
constexpr absl::Duration kMaxLinger = absl::Minutes(1);
constexpr absl::Duration kMinHttpTimeout = absl::Milliseconds(100);
constexpr absl::Duration kMaxHttpTimeout = absl::Minutes(10);
constexpr absl::Duration kSinkHttpTimeout = absl::Seconds(30);  // unless the file says otherwise

void ParsePath(const YamlNode& value, SinkSpec* sink, YamlReader* reader) {
  constexpr std::string_view kTakes = "the path of a file";
  sink->file = reader->Text(value, "file", kTakes, kFileExample);
  const bool fits = sink->file.size() <= kMaxSinkPathBytes && sink->file.find('\0') == std::string::npos;
  if (!sink->file.empty() && (!fits || sink->file.back() == '/')) {
    reader->FailValue(value, "file", kTakes, kFileExample);
  }
}

void ParseFile(const YamlNode& value, SinkSpec* sink, YamlReader* reader) {
  constexpr std::string_view kExample = "sink: { file: { path: out.jsonl, rotate: 256MiB } }";
  sink->kind = SinkSpec::Kind::kFile;
  if (value.IsScalar()) return ParsePath(value, sink, reader);
  if (!reader->Mapping(value, "file", kExample)) return;
  reader->CheckKeys(value, "`file`", {"path", "rotate"});
  if (const YamlNode* path = reader->Required(value, "path", "`file`", kExample)) {
    ParsePath(*path, sink, reader);
  }
  if (const YamlNode* rotate = value.Find("rotate")) {
    sink->rotate_bytes = reader->Size(*rotate, "rotate", kMinRotateBytes, kMaxRotateBytes, kExample);
  }
}

void ParseTarget(const YamlNode& value, SinkSpec* sink, YamlReader* reader) {
  sink->kind = SinkSpec::Kind::kStream;
  if (const YamlNode* subject = value.Find("subject")) {
    sink->subject = subject->text;
    if (!subject->IsScalar() || !IsSourceSubject(sink->subject) ||
        sink->subject.find_first_of("*>") != std::string::npos) {
      reader->FailValue(*subject, "subject", "a NATS subject of your own, without * and >",
                        "sink: { subject: totals.out }");
    }
  }
  if (const YamlNode* stream = value.Find("stream")) {
    sink->stream = stream->text;
    if (!stream->IsScalar() || !IsSourceStream(sink->stream)) {
      reader->FailValue(*stream, "stream", "the name of a JetStream stream of your own",
                        "sink: { stream: TOTALS }");
    }
  }
}

void ParseService(const YamlNode& value, SinkSpec* sink, YamlReader* reader) {
  constexpr std::string_view kExample = "sink: { http: { url: 'https://example.org/totals', batch: 500 } }";
  sink->kind = SinkSpec::Kind::kHttp;
  HttpSinkSpec& http = sink->http;
  http.service.timeout = kSinkHttpTimeout;
  if (value.IsScalar()) {
    http.service.url = ParseHttpUrl(value, "http", kExample, reader);
    return;
  }
  if (!reader->Mapping(value, "http", kExample)) return;
  reader->CheckKeys(value, "`http`", {"url", "headers", "format", "batch", "linger", "timeout"});
  if (const YamlNode* url = reader->Required(value, "url", "`http`", kExample)) {
    http.service.url = ParseHttpUrl(*url, "url", kExample, reader);
  }
  if (const YamlNode* headers = value.Find("headers")) {
    http.service.headers = ParseHttpHeaders(*headers, reader);
  }
  if (const YamlNode* format = value.Find("format")) {
    http.format = reader->Choice<HttpSinkSpec::Format>(
        *format, "format",
        {{"lines", HttpSinkSpec::Format::kLines}, {"array", HttpSinkSpec::Format::kArray}});
  }
  if (const YamlNode* batch = value.Find("batch")) {
    http.batch_records =
        static_cast<uint32_t>(reader->Integer(*batch, "batch", 1, kMaxBatchRecords, "batch: 500"));
  }
  if (const YamlNode* linger = value.Find("linger")) {
    http.linger = reader->Duration(*linger, "linger", kMinLinger, kMaxLinger, "linger: 250ms");
  }
  if (const YamlNode* timeout = value.Find("timeout")) {
    http.service.timeout =
        reader->Duration(*timeout, "timeout", kMinHttpTimeout, kMaxHttpTimeout, "timeout: 30s");
  }
}

// What else is in the stream or below the subject is seen when the job runs.
void RefuseCircle(const YamlNode& value, const SourceSpec& source, const SinkSpec& sink, YamlReader* reader) {
  const bool same_subject =
      !source.subject.empty() && !sink.subject.empty() && SubjectCovers(source.subject, sink.subject);
  const bool same_stream = source.subject.empty() && !source.stream.empty() && source.stream == sink.stream;
  if (!same_subject && !same_stream) return;
  reader->Fail(value, "the job would read its own results", "its `source` covers its `sink`",
               "publish them under another subject");
}

// `sink: 'file: out.jsonl'`, as some write it.
void RefuseInline(const YamlNode& value, YamlReader* reader) {
  for (const std::string_view kind : {"subject", "stream", "file", "http"}) {
    if (!value.text.starts_with(StrCat(kind, ":"))) continue;
    reader->FailValue(value, "sink", "a mapping for what is outside", kExamples);
  }
}

}  // namespace

SinkSpec ParseSink(const YamlNode& value, const SourceSpec& source, YamlReader* reader) {
  SinkSpec sink;
  if (value.IsMapping()) {
    reader->CheckKeys(value, "`sink`", {"file", "stream", "subject", "http"});
    const YamlNode* const file = value.Find("file");
    const YamlNode* const http = value.Find("http");
    const bool is_target = value.Find("stream") != nullptr || value.Find("subject") != nullptr;
    if ((is_target ? 1 : 0) + (file != nullptr ? 1 : 0) + (http != nullptr ? 1 : 0) != 1) {
      reader->FailValue(value, "sink", "either a file, or a stream or subject, or http", kExamples);
    } else if (file != nullptr) {
      ParseFile(*file, &sink, reader);
    } else if (http != nullptr) {
      ParseService(*http, &sink, reader);
    } else {
      ParseTarget(value, &sink, reader);
      RefuseCircle(value, source, sink, reader);
    }
    return sink;
  }
  if (value.IsScalar()) RefuseInline(value, reader);
  sink.kind = reader->Choice<SinkSpec::Kind>(
      value, "sink", {{"results", SinkSpec::Kind::kResults}, {"none", SinkSpec::Kind::kNone}});
  return sink;
}

}  // namespace millrace
