#include "common/pipeline/call_stage.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/handler/call_request.h"
#include "common/pipeline/expression_stages.h"
#include "common/pipeline/handler_caller.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kTextType = "text/plain; charset=utf-8";
constexpr size_t kMaxRequestUrlBytes = 8192;
constexpr size_t kMaxPathSegments = 16;
// Where the expressions of a request stand; the query's follow.
constexpr size_t kPathExpression = 0;
constexpr size_t kBodyExpression = 1;
constexpr size_t kRequestExpressions = 2;

// A value as it stands in a URL; nullopt: nil. INVALID_ARGUMENT: a list or an object.
absl::StatusOr<std::optional<std::string>> UrlText(std::string_view packed) {
  PackReader reader(packed);
  PackToken token;
  if (!reader.Next(&token)) return absl::InternalError("a value is cut off");
  switch (token.type) {
    case PackToken::Type::kNil:
      return std::optional<std::string>();
    case PackToken::Type::kString:
    case PackToken::Type::kBinary:
      return std::optional<std::string>(token.text);
    case PackToken::Type::kArray:
    case PackToken::Type::kMap:
      return absl::InvalidArgumentError("is a table — text, a number or a boolean has a place in a URL");
    default:
      break;
  }
  std::string text;
  if (const absl::Status written = AppendPackedJson(packed, &text); !written.ok()) return written;
  return std::optional<std::string>(std::move(text));
}

// The values of several expressions, one behind the other.
std::vector<std::string_view> Split(std::string_view packed) {
  std::vector<std::string_view> values;
  PackReader reader(packed);
  while (!reader.done()) {
    const char* const begin = reader.position();
    if (!reader.Skip()) break;
    values.emplace_back(begin, static_cast<size_t>(reader.position() - begin));
  }
  return values;
}

class CallStageImpl final : public Stage {
 public:
  struct Chunks {
    LuaSandbox::ChunkId request, result;
  };
  CallStageImpl(const StageSpec& spec, const ErrorPolicy& job_errors, LuaSandbox* lua, Chunks chunks,
                StepContext* context)
      : Stage(spec, job_errors, context),
        call_(std::get<CallStage>(spec.what)),
        lua_(lua),
        chunks_(chunks),
        caller_(spec.code.name, context->calls) {}

  Traits traits() const override { return {}; }

  absl::Status Process(const RecordView& record) override {
    if (absl::Status made = MakeRequest(record); !made.ok()) return made;
    const absl::StatusOr<const CallOutcome*> outcome =
        caller_.CallWith(context(), record.key, PackHttpRequest(request_));
    if (!outcome.ok()) return outcome.status();
    if (*outcome == nullptr) return absl::OkStatus();
    if ((*outcome)->kind == CallOutcome::Kind::kFailed) return Fail((*outcome)->why);
    LuaInput input = InputOf(record, context());
    input.response = (*outcome)->outputs.front().value;
    if (absl::Status result = Evaluate(chunks_.result, input, &result_); !result.ok()) return result;
    RecordView answered = record;
    answered.value = result_;
    answered.shape = kPackedShape;
    answered.fields = nullptr;
    return HandOn(answered);
  }

 private:
  absl::Status Evaluate(LuaSandbox::ChunkId chunk, const LuaInput& input, std::string* packed) {
    const ObservedCall observed(context(), timeout(), name());
    packed->clear();
    const absl::Status status = lua_->Evaluate(chunk, input, packed);
    return status.ok() ? status : Fail(status);
  }

  absl::Status MakeRequest(const RecordView& record) {
    if (absl::Status made = Evaluate(chunks_.request, InputOf(record, context()), &expressions_); !made.ok())
      return made;
    const std::vector<std::string_view> values = Split(expressions_);
    request_.method = call_.method;
    request_.url = call_.service.url;
    request_.label = caller_.NextLabel(context(), record.key, record.time_ms);
    if (absl::Status path = AddPath(values[kPathExpression]); !path.ok()) return path;
    if (absl::Status query = AddQuery(values); !query.ok()) return query;
    if (request_.url.size() > kMaxRequestUrlBytes) {
      return Fail(StrCat("the URL has ", request_.url.size(), " bytes, more than ", kMaxRequestUrlBytes));
    }
    return AddBody(record, values[kBodyExpression]);
  }

  absl::Status AddPath(std::string_view value) {
    if (call_.path.empty()) return absl::OkStatus();
    PackReader reader(value);
    PackToken list;
    const bool is_list = reader.Next(&list) && list.type == PackToken::Type::kArray;
    const std::vector<std::string_view> parts =
        is_list ? Split(std::string_view(reader.position(), value.data() + value.size()))
                : std::vector<std::string_view>{value};
    if (parts.empty() || parts.size() > kMaxPathSegments) {
      return Fail(StrCat("`path` has ", parts.size(), " parts, and it takes 1 to ", kMaxPathSegments));
    }
    if (request_.url.ends_with('/')) request_.url.pop_back();
    for (const std::string_view part : parts) {
      const absl::StatusOr<std::optional<std::string>> text = UrlText(part);
      if (!text.ok()) return Fail(StrCat("`path` ", ToStd(text.status().message())));
      // Without text, and with dots, it would be another resource than the one that is meant.
      if (!text->has_value() || (*text)->empty() || **text == "." || **text == "..") {
        return Fail("a part of `path` is nil, empty or dots");
      }
      StrAppend(&request_.url, "/", PercentEncode(**text));
    }
    return absl::OkStatus();
  }

  absl::Status AddQuery(const std::vector<std::string_view>& values) {
    char separator = '?';
    for (size_t i = 0; i < call_.query.size(); ++i) {
      const std::string& name = call_.query[i].first;
      const absl::StatusOr<std::optional<std::string>> text = UrlText(values[kRequestExpressions + i]);
      if (!text.ok()) return Fail(StrCat("`query.", name, "` ", ToStd(text.status().message())));
      if (!text->has_value()) continue;
      request_.url += std::exchange(separator, '&');
      StrAppend(&request_.url, PercentEncode(name), "=", PercentEncode(**text));
    }
    return absl::OkStatus();
  }

  // In a batch it is an item of a list in JSON, whatever it is.
  absl::Status AddBody(const RecordView& record, std::string_view value) {
    request_.body.clear();
    request_.content_type.clear();
    const bool has_body = call_.method == "POST" || call_.method == "PUT" || call_.method == "PATCH";
    if (!has_body) return absl::OkStatus();
    request_.content_type = kJsonType;
    absl::Status written;
    PackReader reader(value);
    PackToken token;
    if (call_.body.empty()) {
      written = AppendJson(ValueView::Of(record), &request_.body);
    } else if (!call_.batch.has_value() && reader.Next(&token) &&
               (token.type == PackToken::Type::kString || token.type == PackToken::Type::kBinary)) {
      request_.content_type = kTextType;
      request_.body = std::string(token.text);
    } else {
      written = AppendPackedJson(value, &request_.body);
    }
    return written.ok() ? written : Fail(written);
  }

  const CallStage call_;
  LuaSandbox* const lua_;
  const Chunks chunks_;
  HandlerCaller caller_;
  HttpCallRequest request_;  // scratch, as the next
  std::string expressions_;
  std::string result_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stage>> MakeCallStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                     LuaSandbox* lua, StepContext* context) {
  const auto& call = std::get<CallStage>(spec.what);
  std::vector<std::string> request(kRequestExpressions, "nil");
  if (!call.path.empty()) request[kPathExpression] = call.path;
  if (!call.body.empty()) request[kBodyExpression] = call.body;
  for (const auto& [name, expression] : call.query) request.push_back(expression);
  const auto request_chunk = lua->AddExpressions(spec.code.name, spec.code.place, std::move(request));
  if (!request_chunk.ok()) return request_chunk.status();
  const auto result_chunk = lua->AddExpressions(spec.code.name, spec.code.place, {call.result});
  if (!result_chunk.ok()) return result_chunk.status();
  return std::make_unique<CallStageImpl>(spec, job_errors, lua,
                                         CallStageImpl::Chunks{*request_chunk, *result_chunk}, context);
}

}  // namespace millrace
