#include "common/plugin/plugin_instance.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/handler/handler_call.h"
#include "common/handler/handler_values.h"
#include "common/plugin/crash_guard.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr int64_t kMaxTimerMs = int64_t{1} << 53;
constexpr size_t kMaxFailureBytes = 4096;  // of what a plugin says when it fails

millrace_bytes ToC(std::string_view text) { return {text.data(), text.size()}; }
std::string_view FromC(const millrace_bytes& bytes) {
  return bytes.size == 0 ? std::string_view() : std::string_view(bytes.data, bytes.size);
}

// One line of text, whatever it is.
std::string AsLine(std::string_view text) {
  std::string line(text.substr(0, kMaxFailureBytes));
  line.resize(FindInvalidUtf8(line));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line.empty() ? "it failed, and did not say why" : line;
}

absl::Status CheckOneValue(std::string_view packed) {
  PackReader reader(packed);
  if (absl::Status status = TakeHandlerValue(&reader).status(); !status.ok()) return status;
  return reader.done() ? absl::OkStatus() : absl::InvalidArgumentError("more than one value");
}

}  // namespace

// Behind millrace_host::context. What the plugin asks for wrongly fails the call when it has returned: no exception and no
// error code crosses the boundary.
struct PluginInstance::Asked {
  KeyedCall* call = nullptr;  // null: only Fail
  Plugin::Kind kind = Plugin::Kind::kKeyed;
  size_t bytes = 0;
  bool sets_state = false;
  std::string failure = {};  // what the plugin said
  absl::Status refused = absl::OkStatus();

  void Refuse(std::string_view why) {
    if (refused.ok()) refused = absl::InvalidArgumentError(ToAbsl(why));
  }
  // Whether it may keep so many bytes more.
  bool Takes(size_t more) {
    bytes += more;
    if (bytes <= kMaxPluginOutputBytes) return true;
    Refuse(StrCat("one call put out more than ", kMaxPluginOutputBytes >> 20, " MiB"));
    return false;
  }

  void Emit(const millrace_output& output);
  void SetState(std::string_view packed);
  void SetTimer(bool event_time, int64_t ms);  // NOLINT: as it is asked for
};

void PluginInstance::Asked::Emit(const millrace_output& output) {
  if (call == nullptr || !refused.ok()) return;
  if (call->emitted_count >= kMaxEmitsPerCall) {
    return Refuse(StrCat("emit: more than ", kMaxEmitsPerCall, " values from one record"));
  }
  const std::string_view value = FromC(output.value);
  if (!Takes(value.size() + output.key.size)) return;
  if (absl::Status status = CheckOneValue(value); !status.ok()) {
    return Refuse(StrCat("emit: ", status.message()));
  }
  if (call->emitted_count == call->emitted.size()) call->emitted.emplace_back();
  KeyedCall::Emitted& emitted = call->emitted[call->emitted_count++];
  emitted.packed.assign(value);
  emitted.has_key = output.has_key != 0;
  emitted.key.assign(emitted.has_key ? FromC(output.key) : std::string_view());
  emitted.headers.clear();
  for (size_t i = 0; i < output.header_count; ++i) {
    if (!Takes(output.headers[i].name.size + output.headers[i].value.size)) return;
    emitted.headers.emplace_back(FromC(output.headers[i].name), FromC(output.headers[i].value));
  }
  std::sort(emitted.headers.begin(), emitted.headers.end());
}

void PluginInstance::Asked::SetState(std::string_view packed) {
  if (call == nullptr || !refused.ok()) return;
  if (kind != Plugin::Kind::kKeyed) return Refuse("only the code of `keyed` has a state");
  sets_state = true;
  const bool is_nil = packed.empty() || packed == kNoPackedState;
  if (!is_nil) {
    if (!Takes(packed.size())) return;
    if (absl::Status status = CheckOneValue(packed); !status.ok()) {
      return Refuse(StrCat("state: ", status.message()));
    }
  }
  call->new_state.assign(is_nil ? std::string_view() : packed);
}

void PluginInstance::Asked::SetTimer(bool event_time, int64_t ms) {
  if (call == nullptr || !refused.ok()) return;
  if (kind != Plugin::Kind::kKeyed) return Refuse("only the code of `keyed` sets timers");
  if (call->timers.size() >= kMaxTimersPerCall) {
    return Refuse(StrCat("more than ", kMaxTimersPerCall, " timers from one record"));
  }
  if (ms > kMaxTimerMs || ms < -kMaxTimerMs || (!event_time && ms < 0)) {
    return Refuse(
        StrCat("a timer's time is milliseconds below 2^53, and its delay is not negative, not ", ms));
  }
  call->timers.push_back({event_time, ms});
}

absl::StatusOr<std::unique_ptr<PluginInstance>> PluginInstance::Create(std::shared_ptr<const Plugin> plugin) {
  Asked asked;
  millrace_host host = {};
  host.size = sizeof(host);
  host.context = &asked;
  host.fail = [](void* context, const char* text, size_t size) {
    static_cast<Asked*>(context)->failure.assign(text, size);
  };
  void* const instance = plugin->functions().create(&host);
  if (instance == nullptr) {
    return absl::FailedPreconditionError(StrCat("plugin ", plugin->name(),
                                                " cannot begin: ", AsLine(asked.failure),
                                                " — its constructor failed — mend it"));
  }
  return std::unique_ptr<PluginInstance>(new PluginInstance(std::move(plugin), instance));
}

PluginInstance::~PluginInstance() { plugin_->functions().destroy(instance_); }

absl::Status PluginInstance::Describe(const LuaInput& input, const KeyedCall& given, millrace_call* call) {
  call->size = sizeof(*call);
  call->is_timer = given.on_timer ? 1 : 0;
  call->ending = given.ending ? 1 : 0;
  call->key = ToC(input.key);
  call->time_ms = input.time_ms;
  call->segment = input.segment.value();
  call->partition = input.partition.value();
  call->offset = input.offset.value();
  call->position = input.position;
  call->has_state = given.state.empty() ? 0 : 1;
  call->state = ToC(given.state);
  if (input.record == nullptr) return absl::OkStatus();
  const RecordView& record = *input.record;
  call->value = ToC(record.value);
  const bool is_row = record.shape >= kFirstRowShape && record.fields != nullptr;
  call->shape = is_row ? MILLRACE_ROW : record.shape == kPackedShape ? MILLRACE_PACKED : MILLRACE_RAW;
  fields_.clear();
  if (is_row) {
    for (const std::string_view field : *record.fields) fields_.push_back(ToC(field));
  }
  call->fields = fields_.data();
  call->field_count = static_cast<uint32_t>(fields_.size());
  headers_.clear();
  if (!record.raw_headers.empty()) {
    const absl::StatusOr<HeaderList> headers = DecodeHeaders(record.raw_headers);
    if (!headers.ok()) return absl::InvalidArgumentError(headers.status().message());
    for (const auto& [name, value] : *headers) headers_.push_back({ToC(name), ToC(value)});
  }
  call->headers = headers_.data();
  call->header_count = headers_.size();
  return absl::OkStatus();
}

absl::Status PluginInstance::Run(const LuaInput& input, CallObserver* observer, KeyedCall* call) {
  millrace_call described = {};
  if (absl::Status status = Describe(input, *call, &described); !status.ok()) return status;
  call->new_state.assign(call->state);
  call->emitted_count = 0;
  call->timers.clear();
  Asked asked;
  asked.call = call;
  asked.kind = plugin_->kind();
  millrace_host host = {};
  host.size = sizeof(host);
  host.context = &asked;
  host.emit = [](void* context, const millrace_output* output) {
    static_cast<Asked*>(context)->Emit(*output);
  };
  host.set_state = [](void* context, const char* data, size_t size) {
    static_cast<Asked*>(context)->SetState({data, size});
  };
  host.set_timer = [](void* context, uint32_t event_time, int64_t ms) {
    static_cast<Asked*>(context)->SetTimer(event_time != 0, ms);
  };
  host.fail = [](void* context, const char* text, size_t size) {
    static_cast<Asked*>(context)->failure.assign(text, std::min(size, kMaxFailureBytes));
  };
  const auto function = call->on_timer ? plugin_->functions().on_timer : plugin_->functions().handle;
  if (function == nullptr) return absl::InvalidArgumentError("the plugin has no OnTimer");
  int failed = 0;
  {
    const PluginScope scope(observer);
    failed = function(instance_, &described, &host);
  }
  if (failed != 0) return absl::InvalidArgumentError(AsLine(asked.failure));
  return asked.refused;
}

}  // namespace millrace
