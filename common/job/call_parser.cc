#include "common/job/call_parser.h"

#include <algorithm>

#include "common/job/error_policy_parser.h"
#include "common/job/http_parser.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kCallExample =
    "call: { http: 'https://example.org/score', result: '{ user = r.user, score = response.body.score }' }";
constexpr size_t kMaxCallQuery = 32;
constexpr int64_t kMaxBatchSize = 1000;
constexpr absl::Duration kMinLinger = absl::Milliseconds(1);
constexpr absl::Duration kMaxLinger = absl::Minutes(1);

bool HasBody(const std::string& method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

void ParseQuery(const YamlNode& value, CallStage* call, YamlReader* reader) {
  constexpr std::string_view kExample = "query: { user: r.user }";
  if (!reader->Mapping(value, "query", kExample)) return;
  if (value.entries.empty() || value.entries.size() > kMaxCallQuery) {
    reader->FailValue(value, "query", StrCat("1 to ", kMaxCallQuery, " parameters"), kExample);
  }
  for (const YamlEntry& entry : value.entries) {
    call->query.emplace_back(
        entry.key.text, reader->Text(entry.value, entry.key.text, "a Lua expression over `r`", kExample));
  }
}

void ParseRequest(const YamlNode& value, CallStage* call, YamlReader* reader) {
  reader->CheckKeys(value, "`call`", {"http", "method", "path", "query", "body", "headers", "result"});
  if (const YamlNode* url = reader->Required(value, "http", "`call`", kCallExample)) {
    call->service.url = ParseHttpUrl(*url, "http", kCallExample, reader);
    if (reader->ok() && call->service.url.find('?') != std::string::npos) {
      reader->Fail(*url, "`http` with a query in it", "parameters are expressions",
                   "try `query: { user: r.user }`");
    }
  }
  if (const YamlNode* method = value.Find("method")) {
    call->method = reader->Choice<std::string>(
        *method, "method",
        {{"GET", "GET"}, {"POST", "POST"}, {"PUT", "PUT"}, {"PATCH", "PATCH"}, {"DELETE", "DELETE"}});
  }
  if (const YamlNode* path = value.Find("path")) {
    call->path = reader->Text(*path, "path", "a Lua expression over `r`", "path: r.user");
  }
  if (const YamlNode* query = value.Find("query")) ParseQuery(*query, call, reader);
  if (const YamlNode* headers = value.Find("headers")) {
    call->service.headers = ParseHttpHeaders(*headers, reader);
  }
  if (const YamlNode* body = value.Find("body")) {
    call->body = reader->Text(*body, "body", "a Lua expression over `r`", "body: '{ user = r.user }'");
    if (!HasBody(call->method)) {
      reader->Fail(*body, StrCat("`body` with `method: ", call->method, "`"), "such a request has none",
                   "leave it out, or use `method: POST`");
    }
  }
  if (const YamlNode* result = reader->Required(value, "result", "`call`", kCallExample)) {
    call->result = reader->Text(*result, "result", "a Lua expression over `r` and `response`", kCallExample);
  }
}

BatchSpec ParseBatch(const YamlNode& value, const CallStage& call, YamlReader* reader) {
  constexpr std::string_view kExample = "batch: { size: 50, linger: 20ms }";
  BatchSpec batch;
  if (!reader->Mapping(value, "batch", kExample)) return batch;
  reader->CheckKeys(value, "`batch`", {"size", "linger"});
  if (const YamlNode* size = reader->Required(value, "size", "`batch`", kExample)) {
    batch.size = static_cast<uint32_t>(reader->Integer(*size, "size", 1, kMaxBatchSize, kExample));
  }
  if (const YamlNode* linger = value.Find("linger")) {
    batch.linger = reader->Duration(*linger, "linger", kMinLinger, kMaxLinger, kExample);
  }
  if (!HasBody(call.method)) {
    reader->Fail(value, StrCat("`batch` with `method: ", call.method, "`"),
                 "several records are a list in a request's body, and such a request has none",
                 "leave it out, or use `method: POST`");
  }
  return batch;
}

}  // namespace

CallStage ParseCall(const YamlNode& stage, YamlReader* reader) {
  CallStage call;
  const YamlNode& value = *stage.Find("call");
  if (!reader->Mapping(value, "call", kCallExample)) return call;
  ParseRequest(value, &call, reader);
  if (const YamlNode* retry = stage.Find("retry")) call.retry = ParseRetry(*retry, reader);
  if (const YamlNode* concurrency = stage.Find("concurrency")) {
    call.concurrency = static_cast<uint32_t>(
        reader->Integer(*concurrency, "concurrency", 1, kMaxCallConcurrency, "concurrency: 16"));
  }
  if (const YamlNode* ordered = stage.Find("ordered")) {
    call.by_key = reader->Choice<bool>(*ordered, "ordered", {{"key", true}, {"none", false}});
  }
  if (const YamlNode* batch = stage.Find("batch")) call.batch = ParseBatch(*batch, call, reader);
  return call;
}

std::optional<ErrorPolicy> ParseCallErrors(const YamlNode& stage, YamlReader* reader) {
  const YamlNode* const on_error = stage.Find("on_error");
  if (on_error == nullptr) return std::nullopt;
  ErrorPolicy policy;
  policy.on_error = reader->Choice<OnError>(
      *on_error, "on_error",
      {{"dead_letter", OnError::kDeadLetter}, {"skip", OnError::kSkip}, {"fail", OnError::kFail}});
  return policy;
}

}  // namespace millrace
