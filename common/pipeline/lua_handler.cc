#include "common/pipeline/lua_handler.h"

#include <utility>
#include <variant>

#include "common/check.h"
#include "common/pipeline/expression_stages.h"
#include "common/pipeline/header_codec.h"
#include "common/strings.h"

namespace millrace {
namespace {

using Type = PackToken::Type;

// A batch comes from this process.
PackToken TakeOurs(PackReader* reader) {
  PackToken token;
  const bool there = reader->Next(&token);
  MILLRACE_CHECK(there);
  return token;
}

uint64_t TakeOurUint(PackReader* reader) {
  const PackToken token = TakeOurs(reader);
  return token.type == Type::kUint ? token.unsigned_integer : static_cast<uint64_t>(token.integer);
}

std::string_view TakeOurValue(PackReader* reader) {
  const char* const begin = reader->position();
  const bool there = reader->Skip();
  MILLRACE_CHECK(there);
  return {begin, static_cast<size_t>(reader->position() - begin)};
}

// Ends the watch of a call.
class WatchedCall {
 public:
  WatchedCall(PoolCallWatch* watch, const CallPlace& place) : watch_(watch) {
    if (watch_ != nullptr) watch_->Enter(place);
  }
  ~WatchedCall() {
    if (watch_ != nullptr) watch_->Leave();
  }
  WatchedCall(const WatchedCall&) = delete;
  WatchedCall& operator=(const WatchedCall&) = delete;

 private:
  PoolCallWatch* const watch_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LuaHandler>> LuaHandler::Create(const StageSpec& spec, size_t memory_bytes,
                                                               PoolCallWatch* watch) {
  absl::StatusOr<std::unique_ptr<LuaSandbox>> lua = LuaSandbox::Create(memory_bytes);
  if (!lua.ok()) return lua.status();
  const auto* const keyed = std::get_if<KeyedStage>(&spec.what);
  const absl::StatusOr<LuaSandbox::ChunkId> chunk =
      keyed != nullptr ? (*lua)->AddKeyed(spec.code.name, spec.code.place, keyed->lua)
                       : (*lua)->AddExpressions(spec.code.name, spec.code.place, ExpressionsOf(spec));
  if (!chunk.ok()) return chunk.status();
  const What what = keyed != nullptr                                 ? What::kKeyed
                    : std::holds_alternative<FilterStage>(spec.what) ? What::kFilter
                    : std::holds_alternative<MapStage>(spec.what)    ? What::kMap
                                                                     : What::kFlatMap;
  return std::unique_ptr<LuaHandler>(new LuaHandler(what, *std::move(lua), *chunk, watch));
}

PackWriter LuaHandler::Rows::Next(uint32_t size) {
  ++count;
  PackWriter writer(&packed);
  writer.Array(size);
  return writer;
}

std::string LuaHandler::Run(std::string_view batch) {
  for (Rows* const rows : {&states_, &outputs_, &timers_, &errors_}) {
    rows->packed.clear();
    rows->count = 0;
  }
  PackReader reader(batch);
  std::string_view id;
  bool ending = false;
  for (uint32_t left = TakeOurs(&reader).count; left > 0; --left) {
    const std::string_view name = TakeOurs(&reader).text;
    if (name == "id") {
      id = TakeOurs(&reader).text;
    } else if (name == "ending") {
      ending = TakeOurs(&reader).boolean;
    } else if (name == "keys") {
      ReadKeys(&reader);
    } else if (name == "places") {
      ReadPlaces(&reader);
    } else if (name == "calls") {  // behind both
      RunCalls(&reader, ending);
    } else {
      TakeOurValue(&reader);
    }
  }
  return Result(id);
}

void LuaHandler::ReadKeys(PackReader* reader) {
  keys_.resize(TakeOurs(reader).count);
  for (Key& key : keys_) {
    TakeOurs(reader);
    key.key = TakeOurs(reader).text;
    const std::string_view state = TakeOurValue(reader);
    key.state.assign(state == kNoPackedState ? std::string_view() : state);
  }
}

void LuaHandler::ReadPlaces(PackReader* reader) {
  places_.resize(TakeOurs(reader).count);
  for (CallPlace& place : places_) {
    TakeOurs(reader);
    place.asker = TakeOurUint(reader);
    place.segment = SegmentId(static_cast<uint32_t>(TakeOurUint(reader)));
    place.partition = PartitionId(static_cast<uint32_t>(TakeOurUint(reader)));
    place.offset = Offset(TakeOurUint(reader));
    place.record = static_cast<uint32_t>(TakeOurUint(reader));
  }
}

void LuaHandler::RunCalls(PackReader* reader, bool ending) {
  const uint32_t count = TakeOurs(reader).count;
  MILLRACE_CHECK(count == places_.size());
  for (uint32_t index = 0; index < count; ++index) RunCall(reader, index, ending);
}

void LuaHandler::RunCall(PackReader* reader, uint32_t index, bool ending) {
  TakeOurs(reader);
  const bool is_timer = TakeOurUint(reader) == 1;
  Key& key = keys_[TakeOurUint(reader)];
  RecordView record;
  ReadValue(reader, &record);
  record.key = key.key;
  record.time_ms = static_cast<int64_t>(TakeOurUint(reader));
  ReadHeaders(reader);
  record.raw_headers = headers_;
  TakeOurValue(reader);  // the label, which the place says too
  const CallPlace& place = places_[index];
  const LuaInput input{.record = is_timer ? nullptr : &record,
                       .key = key.key,
                       .time_ms = record.time_ms,
                       .segment = place.segment,
                       .partition = place.partition,
                       .offset = place.offset,
                       .position = place.record};
  call_.on_timer = is_timer;
  call_.ending = ending;
  absl::Status status;
  {
    const WatchedCall watched(watch_, place);
    status = what_ == What::kKeyed ? RunKeyed(index, input, &key) : RunExpression(index, input);
  }
  if (status.ok()) return;
  PackWriter row = errors_.Next(2);
  row.Uint(index);
  row.String(ToStd(status.message()));
}

// A map with text for keys is shown as the row that it was: Lua then takes out of it only what it uses.
void LuaHandler::ReadValue(PackReader* reader, RecordView* record) {
  PackReader inside = *reader;
  const std::string_view whole = TakeOurValue(reader);
  const PackToken token = TakeOurs(&inside);
  record->shape = kPackedShape;
  record->value = whole;
  if (token.type == Type::kBinary) {
    record->shape = kRawShape;
    record->value = token.text;
  }
  if (token.type != Type::kMap) return;
  fields_.clear();
  value_.clear();
  for (uint32_t i = 0; i < token.count; ++i) {
    const PackToken name = TakeOurs(&inside);
    if (name.type != Type::kString) return;
    fields_.push_back(name.text);
    value_.append(TakeOurValue(&inside));
  }
  record->shape = kFirstRowShape;
  record->fields = &fields_;
  record->value = value_;
}

void LuaHandler::ReadHeaders(PackReader* reader) {
  headers_.clear();
  const PackToken headers = TakeOurs(reader);
  if (headers.type == Type::kNil) return;
  std::vector<std::pair<std::string, std::string>> list;
  for (uint32_t i = 0; i < headers.count; ++i) {
    TakeOurs(reader);
    std::string name(TakeOurs(reader).text);
    list.emplace_back(std::move(name), TakeOurs(reader).text);
  }
  const absl::Status merged = MergeHeaders({}, list, &headers_);
  MILLRACE_CHECK(merged.ok());
}

absl::Status LuaHandler::RunKeyed(uint32_t index, const LuaInput& input, Key* key) {
  call_.state = key->state;
  absl::Status status = lua_->Run(chunk_, input, &call_);
  if (status.ok()) TellKeyed(index, key);
  return status;
}

void LuaHandler::TellKeyed(uint32_t index, Key* key) {
  if (call_.new_state != key->state) {
    states_.Next(2).Uint(index);
    states_.packed.append(call_.new_state.empty() ? kNoPackedState : call_.new_state);
    key->state = call_.new_state;
  }
  for (size_t i = 0; i < call_.emitted_count; ++i) {
    const KeyedCall::Emitted& emitted = call_.emitted[i];
    PackWriter row = outputs_.Next(4);
    row.Uint(index);
    outputs_.packed.append(emitted.packed);
    emitted.has_key ? row.Binary(emitted.key) : row.Nil();
    if (emitted.headers.empty()) {
      row.Nil();
      continue;
    }
    row.Array(static_cast<uint32_t>(emitted.headers.size()));
    for (const auto& [name, value] : emitted.headers) {
      row.Array(2);
      row.Binary(name);
      row.Binary(value);
    }
  }
  for (const KeyedCall::TimerRequest& timer : call_.timers) {
    PackWriter row = timers_.Next(3);
    row.Uint(index);
    row.Int(timer.event_time ? 1 : 0);
    row.Int(timer.ms);
  }
}

void LuaHandler::AddOutput(uint32_t index, std::string_view packed) {
  PackWriter row = outputs_.Next(4);
  row.Uint(index);
  outputs_.packed.append(packed);
  row.Nil();
  row.Nil();
}

// A filter puts something out where it keeps the record; a map's fields are an output each.
absl::Status LuaHandler::RunExpression(uint32_t index, const LuaInput& input) {
  if (what_ == What::kFilter) {
    const absl::StatusOr<bool> keep = lua_->Test(chunk_, input);
    if (keep.ok() && *keep) AddOutput(index, kNoPackedState);
    return keep.status();
  }
  packed_.clear();
  ends_.clear();
  if (what_ == What::kFlatMap) {
    absl::Status status = lua_->EvaluateList(chunk_, input, &packed_, &ends_);
    if (!status.ok()) return status;
    size_t begin = 0;
    for (const size_t end : ends_) {
      AddOutput(index, std::string_view(packed_).substr(begin, end - begin));
      begin = end;
    }
    return status;
  }
  absl::Status status = lua_->Evaluate(chunk_, input, &packed_);
  if (!status.ok()) return status;
  PackReader values(packed_);
  while (!values.done()) AddOutput(index, TakeOurValue(&values));
  return status;
}

std::string LuaHandler::Result(std::string_view id) {
  std::string body;
  body.reserve(64 + id.size() + states_.packed.size() + outputs_.packed.size() + timers_.packed.size() +
               errors_.packed.size());
  PackWriter writer(&body);
  writer.Map(5);
  writer.String("id");
  writer.String(id);
  for (const auto& [name, rows] : {std::pair("states", &states_), std::pair("outputs", &outputs_),
                                   std::pair("timers", &timers_), std::pair("errors", &errors_)}) {
    writer.String(name);
    writer.Array(rows->count);
    body.append(rows->packed);
  }
  return body;
}

}  // namespace millrace
