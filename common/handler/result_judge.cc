// Whether a result is one that docs/handlers.md allows for its batch. Strict: what is not understood is
// refused, and nothing of it counts.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/broker_limits.h"
#include "common/handler/batch.h"
#include "common/handler/handler_values.h"
#include "common/handler/messages.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

using Type = PackToken::Type;
constexpr int64_t kMaxTimeMs = int64_t{1} << 53;

absl::Status Lie(std::string_view what) { return absl::InvalidArgumentError(ToAbsl(what)); }

template <typename... Pieces>
absl::Status LieAt(std::string_view list, uint32_t row, const Pieces&... pieces) {
  return Lie(StrCat(list, "[", row, "]: ", pieces...));
}

// Reads a result's lists, row by row; what the rows mean together is looked at when all of them are known, since
// the lists come in any order.
class Judge {
 public:
  Judge(const BatchShape& batch, std::shared_ptr<const std::string> body)
      : batch_(batch), body_(std::move(body)), reader_(*body_), call_count_(batch.key_of_call.size()) {}

  absl::StatusOr<JudgedResult> Run(AfterBye after_bye);

 private:
  struct Output {
    PackToken call;
    HandlerOutput output;
    size_t bytes;
  };
  struct State {
    PackToken call;
    std::string_view state;
  };
  struct TimerRow {
    PackToken call, clock, ms;
  };
  struct Error {
    PackToken call;
    PackToken why;
  };

  absl::Status ReadBody();
  absl::Status ReadField(std::string_view name);
  template <typename Read>
  absl::Status ReadRows(std::string_view list, uint32_t size, Read read_row);
  absl::Status ReadOutput(uint32_t row);
  absl::Status ReadHeaders(uint32_t row, HandlerOutput* output);
  absl::Status TakeToken(PackToken* token);
  absl::StatusOr<std::string_view> TakeValue();
  bool is_trusted() const { return batch_.reader == BatchReader::kOwnThread; }

  absl::Status CheckDone(AfterBye after_bye);
  absl::Status CheckErrors();
  absl::Status CheckStates();
  absl::Status CheckOutputs();
  absl::Status CheckTimers();
  // A row's call: one of those done, at or behind `least`.
  absl::StatusOr<size_t> CallOf(std::string_view list, uint32_t row, const PackToken& call,
                                size_t least) const;
  bool Ran(size_t call) const { return result_.calls[call].kind == CallOutcome::Kind::kDone; }

  const BatchShape& batch_;
  const std::shared_ptr<const std::string> body_;
  PackReader reader_;
  const size_t call_count_;
  std::optional<PackToken> done_;
  std::vector<State> states_;
  std::vector<Output> outputs_;
  std::vector<TimerRow> timers_;
  std::vector<Error> errors_;
  JudgedResult result_;
};

absl::Status Judge::TakeToken(PackToken* token) {
  return reader_.Next(token) ? absl::OkStatus() : Lie("bytes that are no MessagePack of this protocol");
}

absl::StatusOr<std::string_view> Judge::TakeValue() {
  if (!is_trusted()) return TakeHandlerValue(&reader_);
  const char* const begin = reader_.position();
  if (!reader_.Skip()) return Lie("bytes that are no MessagePack");
  return std::string_view(begin, static_cast<size_t>(reader_.position() - begin));
}

absl::Status Judge::ReadBody() {
  PackToken map, name;
  if (absl::Status status = TakeToken(&map); !status.ok()) return status;
  if (map.type != Type::kMap) return Lie("the body is no map");
  absl::flat_hash_set<std::string_view> seen;
  for (uint32_t i = 0; i < map.count; ++i) {
    if (absl::Status status = TakeToken(&name); !status.ok()) return status;
    if (name.type != Type::kString) return Lie("a body's keys must be text");
    if (!seen.insert(name.text).second) return Lie(StrCat("`", OneLineWhy(name.text), "` is there twice"));
    if (absl::Status status = ReadField(name.text); !status.ok()) return status;
  }
  return reader_.done() ? absl::OkStatus() : Lie("something stands behind the body");
}

absl::Status Judge::ReadField(std::string_view name) {
  if (name == "id" || name == "done") {
    const absl::StatusOr<std::string_view> value = TakeValue();
    if (!value.ok()) return value.status();
    if (name == "done") PackReader(*value).Next(&done_.emplace());
    return absl::OkStatus();
  }
  if (name == "outputs") return ReadRows(name, 4, [&](uint32_t row) { return ReadOutput(row); });
  if (name == "states") {
    return ReadRows(name, 2, [&](uint32_t) {
      State& state = states_.emplace_back();
      if (absl::Status status = TakeToken(&state.call); !status.ok()) return status;
      const absl::StatusOr<std::string_view> value = TakeValue();
      if (value.ok()) state.state = *value;
      return value.status();
    });
  }
  if (name == "timers") {
    return ReadRows(name, 3, [&](uint32_t) {
      TimerRow& timer = timers_.emplace_back();
      for (PackToken* const token : {&timer.call, &timer.clock, &timer.ms}) {
        if (absl::Status status = TakeToken(token); !status.ok()) return status;
      }
      return absl::OkStatus();
    });
  }
  if (name == "errors") {
    return ReadRows(name, 2, [&](uint32_t) {
      Error& error = errors_.emplace_back();
      absl::Status status = TakeToken(&error.call);
      return status.ok() ? TakeToken(&error.why) : status;
    });
  }
  return Lie(StrCat("`", OneLineWhy(Shorten(name, 32)), "` is no key of a result"));
}

template <typename Read>
absl::Status Judge::ReadRows(std::string_view list, uint32_t size, Read read_row) {
  PackToken rows, row;
  if (absl::Status status = TakeToken(&rows); !status.ok()) return status;
  if (rows.type != Type::kArray) return Lie(StrCat("`", list, "` must be a list"));
  for (uint32_t i = 0; i < rows.count; ++i) {
    if (absl::Status status = TakeToken(&row); !status.ok()) return status;
    if (row.type != Type::kArray || row.count != size) {
      return Lie(StrCat(list, "[", i, "] must be a list of ", size, " elements"));
    }
    if (absl::Status status = read_row(i); !status.ok()) {
      return Lie(StrCat(list, "[", i, "]: ", ToStd(status.message())));
    }
  }
  return absl::OkStatus();
}

absl::Status Judge::ReadOutput(uint32_t row) {
  Output& output = outputs_.emplace_back();
  if (absl::Status status = TakeToken(&output.call); !status.ok()) return status;
  const char* const begin = reader_.position();
  const absl::StatusOr<std::string_view> value = TakeValue();
  if (!value.ok()) return value.status();
  output.output.value = *value;
  PackToken key;
  if (absl::Status status = TakeToken(&key); !status.ok()) return status;
  if (key.type == Type::kBinary) {
    output.output.key = key.text;
  } else if (key.type != Type::kNil) {
    return Lie("the key must be bytes");
  }
  absl::Status status = ReadHeaders(row, &output.output);
  output.bytes = static_cast<size_t>(reader_.position() - begin);
  return status;
}

absl::Status Judge::ReadHeaders(uint32_t, HandlerOutput* output) {
  PackToken headers, pair, name, value;
  if (absl::Status status = TakeToken(&headers); !status.ok()) return status;
  if (headers.type == Type::kNil) return absl::OkStatus();
  if (headers.type != Type::kArray || (headers.count > kMaxOutputHeaders && !is_trusted())) {
    return Lie(StrCat("the headers must be a list of at most ", kMaxOutputHeaders));
  }
  const auto is_text = [](const PackToken& token) {
    return token.type == Type::kBinary || (token.type == Type::kString && IsValidUtf8(token.text));
  };
  for (uint32_t i = 0; i < headers.count; ++i) {
    if (!reader_.Next(&pair) || pair.type != Type::kArray || pair.count != 2 || !reader_.Next(&name) ||
        !reader_.Next(&value) || !is_text(name) || !is_text(value)) {
      return Lie("a header must be a name and a text");
    }
    output->headers.emplace_back(name.text, value.text);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> Judge::CallOf(std::string_view list, uint32_t row, const PackToken& call,
                                     size_t least) const {
  const bool is_one =
      call.type == Type::kInt && call.integer >= 0 && static_cast<uint64_t>(call.integer) < result_.done;
  if (!is_one) return LieAt(list, row, "its call is none of the ", result_.done, " calls done");
  const auto position = static_cast<size_t>(call.integer);
  if (position < least) return LieAt(list, row, "call ", position, " stands behind a later one");
  return position;
}

absl::Status Judge::CheckDone(AfterBye after_bye) {
  result_.done = call_count_;
  if (!done_.has_value()) return absl::OkStatus();
  const int64_t least = after_bye == AfterBye::kYes ? 0 : 1;
  if (done_->type != Type::kInt || done_->integer < least ||
      static_cast<uint64_t>(done_->integer) > call_count_) {
    return Lie(StrCat("`done` must be ", least, " to ", call_count_, ", the calls of the batch"));
  }
  result_.done = static_cast<size_t>(done_->integer);
  return absl::OkStatus();
}

// Settles which calls ran: those done that neither failed nor stand behind a failed one of their key.
absl::Status Judge::CheckErrors() {
  result_.calls.resize(call_count_);
  for (CallOutcome& outcome : result_.calls) outcome.kind = CallOutcome::Kind::kVoid;
  absl::flat_hash_set<uint32_t> failed_keys;
  size_t next = 0;
  const auto run_up_to = [&](size_t end) {
    for (; next < end; ++next) {
      if (!failed_keys.contains(batch_.key_of_call[next]))
        result_.calls[next].kind = CallOutcome::Kind::kDone;
    }
  };
  for (uint32_t row = 0; row < errors_.size(); ++row) {
    const auto& [token, why] = errors_[row];
    const absl::StatusOr<size_t> call = CallOf("errors", row, token, next);
    if (!call.ok()) return call.status();
    run_up_to(*call);
    if (!is_trusted() && (why.type != Type::kString || why.text.empty() || why.text.size() > kMaxWhyBytes ||
                          why.text.find('\n') != std::string_view::npos || !IsValidUtf8(why.text))) {
      return LieAt("errors", row, "the reason must be one line of 1 to ", kMaxWhyBytes, " bytes");
    }
    if (!is_trusted() && !failed_keys.insert(batch_.key_of_call[*call]).second) {
      return LieAt("errors", row, "call ", *call,
                   " stands behind a failed one of its key: it must not have run");
    }
    result_.calls[*call].kind = CallOutcome::Kind::kFailed;
    result_.calls[*call].why = std::string(why.text);
    next = *call + 1;
  }
  run_up_to(result_.done);
  return absl::OkStatus();
}

absl::Status Judge::CheckStates() {
  size_t least = 0;
  for (uint32_t row = 0; row < states_.size(); ++row) {
    if (batch_.mode != HandlerMode::kKeyed) return LieAt("states", row, "a stateless stage has no state");
    const absl::StatusOr<size_t> call = CallOf("states", row, states_[row].call, least);
    if (!call.ok()) return call.status();
    if (!Ran(*call)) return LieAt("states", row, "call ", *call, " did not run");
    if (states_[row].state.size() > kMaxHandlerStateBytes && !is_trusted()) {
      return LieAt("states", row, "more than ", kMaxHandlerStateBytes, " bytes");
    }
    result_.calls[*call].state = states_[row].state;
    least = *call + 1;
  }
  return absl::OkStatus();
}

absl::Status Judge::CheckOutputs() {
  size_t least = 0;
  for (uint32_t row = 0; row < outputs_.size(); ++row) {
    const absl::StatusOr<size_t> call = CallOf("outputs", row, outputs_[row].call, least);
    if (!call.ok()) return call.status();
    if (!Ran(*call)) return LieAt("outputs", row, "call ", *call, " did not run");
    if (outputs_[row].bytes > kMaxOutputBytes && !is_trusted())
      return LieAt("outputs", row, "more than ", kMaxOutputBytes, " bytes");
    CallOutcome& outcome = result_.calls[*call];
    if (outcome.outputs.size() == kMaxOutputsPerCall) {
      return LieAt("outputs", row, "more than ", kMaxOutputsPerCall, " outputs of call ", *call);
    }
    outcome.outputs.push_back(std::move(outputs_[row].output));
    least = *call;
  }
  return absl::OkStatus();
}

absl::Status Judge::CheckTimers() {
  size_t least = 0;
  for (uint32_t row = 0; row < timers_.size(); ++row) {
    const auto& [token, clock, ms] = timers_[row];
    const absl::StatusOr<size_t> call = CallOf("timers", row, token, least);
    if (!call.ok()) return call.status();
    if (batch_.mode != HandlerMode::kKeyed || !Ran(*call)) {
      return LieAt("timers", row, "call ", *call, " cannot set a timer");
    }
    if (clock.type != Type::kInt || (clock.integer != 0 && clock.integer != 1)) {
      return LieAt("timers", row, "the clock must be 0 or 1");
    }
    const bool event_time = clock.integer == 1;
    const bool in_range = ms.integer < kMaxTimeMs && ms.integer > (event_time ? -kMaxTimeMs : -1);
    if (ms.type != Type::kInt || (!in_range && !is_trusted())) {
      return LieAt("timers", row, "that is no time");
    }
    CallOutcome& outcome = result_.calls[*call];
    if (outcome.timers.size() == kMaxHandlerTimersPerCall) {
      return LieAt("timers", row, "more than ", kMaxHandlerTimersPerCall, " timers of call ", *call);
    }
    outcome.timers.push_back({event_time, ms.integer});
    least = *call;
  }
  return absl::OkStatus();
}

absl::StatusOr<JudgedResult> Judge::Run(AfterBye after_bye) {
  if (absl::Status status = ReadBody(); !status.ok()) return status;
  if (absl::Status status = CheckDone(after_bye); !status.ok()) return status;
  if (absl::Status status = CheckErrors(); !status.ok()) return status;
  if (absl::Status status = CheckStates(); !status.ok()) return status;
  if (absl::Status status = CheckOutputs(); !status.ok()) return status;
  if (absl::Status status = CheckTimers(); !status.ok()) return status;
  for (CallOutcome& outcome : result_.calls) {
    if (outcome.kind == CallOutcome::Kind::kDone) outcome.message = body_;
  }
  return std::move(result_);
}

}  // namespace

absl::StatusOr<std::string_view> ResultId(std::string_view body) {
  PackReader reader(body);
  PackToken map, name, id;
  if (!reader.Next(&map) || map.type != Type::kMap) return Lie("the body is no map");
  for (uint32_t i = 0; i < map.count && reader.Next(&name) && name.type == Type::kString; ++i) {
    if (name.text == "id") {
      if (reader.Next(&id) && id.type == Type::kString) return id.text;
      break;
    }
    constexpr int kListAndRow = 2;  // around a value
    if (const auto other = TakeHandlerValue(&reader, kMaxHandlerValueDepth + kListAndRow); !other.ok()) {
      return other.status();
    }
  }
  return Lie("a result without the `id` of its batch");
}

absl::StatusOr<JudgedResult> JudgeResult(const BatchShape& batch, std::shared_ptr<const std::string> body,
                                         AfterBye after_bye) {
  return Judge(batch, std::move(body)).Run(after_bye);
}

}  // namespace millrace
