#include "common/job/sink_parser.h"

#include <string>
#include <string_view>

#include "common/strings.h"

namespace millrace {
namespace {

constexpr uint64_t kMinRotateBytes = 1 << 20;  // each part costs a few syncs
constexpr uint64_t kMaxRotateBytes = uint64_t{1} << 50;
constexpr size_t kMaxSinkPathBytes = 4000;  // with room for what is put behind it
constexpr char kFileExample[] = "sink: { file: out.jsonl }";
constexpr char kInstead[] =
    "use `sink: { file: out.jsonl }`, or read them with `coordinator results JOB --follow`";

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

// `sink: 'file: out.jsonl'`, as some write it.
void RefuseInline(const YamlNode& value, YamlReader* reader) {
  for (const std::string_view kind : {"subject", "stream", "file", "http"}) {
    if (!value.text.starts_with(StrCat(kind, ":"))) continue;
    if (kind != "file") return reader->FailAbsent(value, StrCat("sink: ", kind), kInstead);
    reader->FailValue(value, "sink", "a mapping for a file", kFileExample);
  }
}

}  // namespace

SinkSpec ParseSink(const YamlNode& value, YamlReader* reader) {
  SinkSpec sink;
  if (value.IsMapping()) {
    reader->CheckKeys(value, "`sink`", {"file"},
                      {{"subject", kInstead}, {"stream", kInstead}, {"http", kInstead}});
    if (const YamlNode* file = reader->Required(value, "file", "`sink`", kFileExample)) {
      ParseFile(*file, &sink, reader);
    }
    return sink;
  }
  if (value.IsScalar()) RefuseInline(value, reader);
  sink.kind = reader->Choice<SinkSpec::Kind>(
      value, "sink", {{"results", SinkSpec::Kind::kResults}, {"none", SinkSpec::Kind::kNone}});
  return sink;
}

}  // namespace millrace
