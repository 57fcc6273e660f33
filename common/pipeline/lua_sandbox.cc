#include "common/pipeline/lua_sandbox.h"

#include <algorithm>
#include <cmath>
#include <lua.hpp>
#include <new>
#include <utility>

#include "common/pipeline/lua_builtins.h"
#include "common/pipeline/lua_heap.h"
#include "common/pipeline/lua_keyed_api.h"
#include "common/pipeline/lua_values.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

// Where in the registry things are; chunks follow from kFirstChunk, two entries each.
constexpr int kExpressionEnv = 1;
constexpr int kKeyedEnvMeta = 2;
constexpr int kFirstChunk = 3;
int CodeSlot(size_t chunk) { return kFirstChunk + 2 * static_cast<int>(chunk); }
int DefinitionsSlot(size_t chunk) { return CodeSlot(chunk) + 1; }

int RefuseGlobal(lua_State* lua) {
  return luaL_error(lua, "global '%s' cannot be set here: use `local`", lua_tostring(lua, 2));
}

void Compile(lua_State* lua, const std::string& name, const std::string& code) {
  // Text only: LuaJIT does not check bytecode.
  if (luaL_loadbufferx(lua, code.data(), code.size(), name.c_str(), "t") != 0) lua_error(lua);
}

}  // namespace

// The Lua state, with what it allocated counted.
struct LuaSandbox::Engine {
  explicit Engine(size_t limit) : heap(limit), lua(lua_newstate(&LuaHeap::Allocate, &heap)) {}
  ~Engine() {
    if (lua != nullptr) lua_close(lua);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  LuaHeap heap;
  LuaPacker packer;
  std::string name;  // scratch of CompileChunk: a raised error must leak nothing
  std::string code;  // likewise
  lua_State* const lua;
};

struct LuaSandbox::Request {
  LuaSandbox* sandbox = nullptr;
  enum class What { kSetUp, kCompile, kTest, kEvaluate, kEvaluateList, kRun } what = What::kSetUp;
  ChunkId chunk = 0;
  const LuaInput* input = nullptr;
  bool truth = false;
  std::string* packed = nullptr;
  std::vector<size_t>* ends = nullptr;
  KeyedCall* keyed = nullptr;
  HeaderList headers = {};  // the record's, decoded

  static int Enter(lua_State* lua);  // under lua_cpcall

 private:
  void SetUp(lua_State* lua) const;
  void CompileChunk(lua_State* lua) const;
  void CallExpressions(lua_State* lua) const;
  void TakeList(lua_State* lua) const;
  void RunKeyed(lua_State* lua) const;
  const LuaChunk& compiled() const { return sandbox->chunks_[chunk]; }
  LuaPacker& packer() const { return sandbox->engine_->packer; }
};

int LuaSandbox::Request::Enter(lua_State* lua) {
  Request* const request = static_cast<Request*>(lua_touserdata(lua, 1));
  lua_settop(lua, 0);
  switch (request->what) {
    case What::kSetUp:
      request->SetUp(lua);
      break;
    case What::kCompile:
      request->CompileChunk(lua);
      break;
    case What::kTest:
      request->CallExpressions(lua);
      request->truth = lua_toboolean(lua, 1) != 0;
      break;
    case What::kEvaluate:
      request->CallExpressions(lua);
      for (int i = 1; i <= lua_gettop(lua); ++i) {
        request->packer().Append(lua, i, LuaPacker::NumberKeys::kAsText, request->packed);
      }
      break;
    case What::kEvaluateList:
      request->CallExpressions(lua);
      request->TakeList(lua);
      break;
    case What::kRun:
      request->RunKeyed(lua);
      break;
  }
  return 0;
}

// The environments: of expressions, which may set no global; of keyed code, made anew for each call.
void LuaSandbox::Request::SetUp(lua_State* lua) const {
  luaJIT_setmode(lua, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  PushBuiltins(lua);
  lua_newtable(lua);
  lua_newtable(lua);
  lua_pushvalue(lua, 1);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, &RefuseGlobal);
  lua_setfield(lua, -2, "__newindex");
  lua_setmetatable(lua, -2);
  lua_rawseti(lua, LUA_REGISTRYINDEX, kExpressionEnv);

  lua_newtable(lua);
  PushKeyedBuiltins(lua, 1);
  lua_setfield(lua, -2, "__index");
  lua_rawseti(lua, LUA_REGISTRYINDEX, kKeyedEnvMeta);
  lua_settop(lua, 0);
}

void LuaSandbox::Request::CompileChunk(lua_State* lua) const {
  const LuaChunk& code = compiled();
  std::string& name = sandbox->engine_->name;
  std::string& text = sandbox->engine_->code;
  name = StrCat("=", code.LuaName());
  if (code.expressions.empty()) {
    Compile(lua, name, code.keyed.record_code);
    lua_rawseti(lua, LUA_REGISTRYINDEX, CodeSlot(chunk));
    Compile(lua, name, code.keyed.definitions);
    lua_rawseti(lua, LUA_REGISTRYINDEX, DefinitionsSlot(chunk));
    return;
  }
  // Each alone first: `1), (2` is no expression, though two of them together would compile.
  for (const std::string& expression : code.expressions) {
    text = StrCat(code.Padding(), "return ((", expression, "\n))");
    Compile(lua, name, text);
    lua_pop(lua, 1);
  }
  text = StrCat(code.Padding(), "local r, key, time, headers, label, response = ... return ");
  for (size_t i = 0; i < code.expressions.size(); ++i) {
    StrAppend(&text, i == 0 ? "(" : ", (", code.expressions[i], "\n)");
  }
  Compile(lua, name, text);
  lua_rawgeti(lua, LUA_REGISTRYINDEX, kExpressionEnv);
  lua_setfenv(lua, -2);
  lua_rawseti(lua, LUA_REGISTRYINDEX, CodeSlot(chunk));
}

void LuaSandbox::Request::CallExpressions(lua_State* lua) const {
  lua_rawgeti(lua, LUA_REGISTRYINDEX, CodeSlot(chunk));
  for (const char* const name : kLuaInputs) PushLuaInput(lua, name, compiled().usage, *input, headers);
  lua_call(lua, static_cast<int>(std::size(kLuaInputs)), static_cast<int>(compiled().expressions.size()));
}

void LuaSandbox::Request::TakeList(lua_State* lua) const {
  if (lua_isnil(lua, 1)) return;
  if (!lua_istable(lua, 1)) luaL_error(lua, "a list (or nil) is needed, got a %s", luaL_typename(lua, 1));
  const size_t count = lua_objlen(lua, 1);
  size_t entries = 0;
  lua_pushnil(lua);
  while (lua_next(lua, 1) != 0) {
    lua_pop(lua, 1);
    ++entries;
  }
  if (entries != count) luaL_error(lua, "a list (or nil) is needed, got a table with other keys than 1..n");
  if (count > kMaxEmitsPerCall)
    luaL_error(lua, "a list of more than %d items", static_cast<int>(kMaxEmitsPerCall));
  for (size_t i = 1; i <= count; ++i) {
    lua_rawgeti(lua, 1, static_cast<int>(i));
    packer().Append(lua, -1, LuaPacker::NumberKeys::kAsText, packed);
    lua_pop(lua, 1);
    ends->push_back(packed->size());
  }
}

// Environment: the call's own table of globals, with the inputs and `state` in it; it dies with the call.
void LuaSandbox::Request::RunKeyed(lua_State* lua) const {
  lua_newtable(lua);
  const int env = lua_gettop(lua);
  lua_rawgeti(lua, LUA_REGISTRYINDEX, kKeyedEnvMeta);
  lua_setmetatable(lua, env);
  for (const char* const name : kLuaInputs) {
    if (!compiled().usage.Uses(name)) continue;
    PushLuaInput(lua, name, compiled().usage, *input, headers);
    lua_setfield(lua, env, name);
  }
  if (keyed->state.empty()) {
    lua_newtable(lua);
  } else {
    PushPacked(lua, keyed->state);
  }
  lua_setfield(lua, env, "state");
  lua_pushboolean(lua, keyed->ending ? 1 : 0);
  lua_setfield(lua, env, "ending");
  SetCurrentCall(lua, keyed, &packer());

  lua_rawgeti(lua, LUA_REGISTRYINDEX, DefinitionsSlot(chunk));
  lua_pushvalue(lua, env);
  lua_setfenv(lua, -2);
  lua_call(lua, 0, 0);
  if (keyed->on_timer) {
    lua_getfield(lua, env, "on_timer");
  } else {
    lua_rawgeti(lua, LUA_REGISTRYINDEX, CodeSlot(chunk));
    lua_pushvalue(lua, env);
    lua_setfenv(lua, -2);
  }
  lua_call(lua, 0, 0);
  lua_pushliteral(lua, "state");
  lua_rawget(lua, env);
  if (!lua_isnil(lua, -1)) packer().Append(lua, -1, LuaPacker::NumberKeys::kKept, &keyed->new_state);
}

absl::StatusOr<std::unique_ptr<LuaSandbox>> LuaSandbox::Create(size_t memory_bytes) {
  std::unique_ptr<LuaSandbox> sandbox(new LuaSandbox(memory_bytes));
  if (absl::Status status = sandbox->Start(); !status.ok()) return status;
  return sandbox;
}

LuaSandbox::LuaSandbox(size_t memory_bytes) : memory_bytes_(memory_bytes) {}
LuaSandbox::~LuaSandbox() = default;

absl::StatusOr<LuaSandbox::ChunkId> LuaSandbox::AddExpressions(std::string name, const CodePlace& place,
                                                               std::vector<std::string> expressions) {
  LuaChunk chunk;
  chunk.name = std::move(name);
  chunk.place = place;
  std::string all;
  for (const std::string& expression : expressions) StrAppend(&all, expression, "\n;");
  chunk.usage = FindUsage(all);
  chunk.expressions = std::move(expressions);
  return Add(std::move(chunk));
}

absl::StatusOr<LuaSandbox::ChunkId> LuaSandbox::AddKeyed(std::string name, const CodePlace& place,
                                                         const std::string& code) {
  LuaChunk chunk;
  chunk.name = std::move(name);
  chunk.place = place;
  absl::StatusOr<KeyedSource> keyed = SplitKeyedSource(StrCat(chunk.Padding(), code));
  if (!keyed.ok()) return absl::InvalidArgumentError(chunk.Tidy(ToStd(keyed.status().message())));
  chunk.keyed = *std::move(keyed);
  chunk.usage = FindUsage(code);
  return Add(std::move(chunk));
}

absl::StatusOr<LuaSandbox::ChunkId> LuaSandbox::Add(LuaChunk chunk) {
  chunks_.push_back(std::move(chunk));
  Request request{.sandbox = this, .what = Request::What::kCompile, .chunk = chunks_.size() - 1};
  bool out_of_memory = false;
  if (absl::Status status = CallOnce(&request, &out_of_memory); !status.ok()) {
    chunks_.pop_back();
    return status;
  }
  return chunks_.size() - 1;
}

absl::StatusOr<bool> LuaSandbox::Test(ChunkId chunk, const LuaInput& input) {
  Request request{.sandbox = this, .what = Request::What::kTest, .chunk = chunk, .input = &input};
  if (absl::Status status = Call(&request); !status.ok()) return status;
  return request.truth;
}

absl::Status LuaSandbox::Evaluate(ChunkId chunk, const LuaInput& input, std::string* packed) {
  Request request{
      .sandbox = this, .what = Request::What::kEvaluate, .chunk = chunk, .input = &input, .packed = packed};
  return Call(&request);
}

absl::Status LuaSandbox::EvaluateList(ChunkId chunk, const LuaInput& input, std::string* packed,
                                      std::vector<size_t>* ends) {
  Request request{.sandbox = this,
                  .what = Request::What::kEvaluateList,
                  .chunk = chunk,
                  .input = &input,
                  .packed = packed,
                  .ends = ends};
  return Call(&request);
}

absl::Status LuaSandbox::Run(ChunkId chunk, const LuaInput& input, KeyedCall* call) {
  Request request{
      .sandbox = this, .what = Request::What::kRun, .chunk = chunk, .input = &input, .keyed = call};
  return Call(&request);
}

size_t LuaSandbox::memory_used() const { return engine_->heap.used_bytes; }

// A new Lua state with every chunk compiled into it.
absl::Status LuaSandbox::Start() {
  engine_ = std::make_unique<Engine>(memory_bytes_);
  if (engine_->lua == nullptr) {
    return absl::ResourceExhaustedError(
        StrCat("no Lua state fits into ", FormatSize(memory_bytes_), " — give Lua more memory"));
  }
  bool out_of_memory = false;
  Request set_up{.sandbox = this, .what = Request::What::kSetUp};
  if (absl::Status status = CallOnce(&set_up, &out_of_memory); !status.ok()) return status;
  for (size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    Request compile{.sandbox = this, .what = Request::What::kCompile, .chunk = chunk};
    if (absl::Status status = CallOnce(&compile, &out_of_memory); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// How much garbage earlier records left must not decide whether this one fits: a call that ran out of memory
// is judged by a second run, in a Lua state where it is alone.
absl::Status LuaSandbox::Call(Request* request) {
  const LuaChunk& chunk = chunks_[request->chunk];
  if (request->input->record != nullptr && chunk.usage.Uses("headers")) {
    absl::StatusOr<HeaderList> headers = DecodeHeaders(request->input->record->raw_headers);
    if (!headers.ok()) return absl::InvalidArgumentError(chunk.Tidy(ToStd(headers.status().message())));
    request->headers = *std::move(headers);
  }
  const size_t packed_before = request->packed == nullptr ? 0 : request->packed->size();
  bool out_of_memory = false;
  absl::Status status = CallOnce(request, &out_of_memory);
  if (!out_of_memory) return status;
  if (absl::Status started = Start(); !started.ok()) return started;
  if (request->packed != nullptr) request->packed->resize(packed_before);
  if (request->ends != nullptr) request->ends->clear();
  status = CallOnce(request, &out_of_memory);
  if (!out_of_memory) return status;
  if (absl::Status started = Start(); !started.ok()) return started;
  return status;
}

absl::Status LuaSandbox::CallOnce(Request* request, bool* out_of_memory) {
  engine_->heap.exceeded = false;
  engine_->packer.Reset();
  if (request->keyed != nullptr) {
    request->keyed->emitted_count = 0;
    request->keyed->timers.clear();
    request->keyed->new_state.clear();
  }
  lua_State* const lua = engine_->lua;
  const int failed = lua_cpcall(lua, &Request::Enter, request);
  // What the machine lacks is no fault of the record's: the process ends, as wherever else memory is refused.
  if (engine_->heap.refused) throw std::bad_alloc();
  *out_of_memory = engine_->heap.exceeded || failed == LUA_ERRMEM;
  if (failed == 0 && !*out_of_memory) return absl::OkStatus();

  const LuaChunk unknown;
  const LuaChunk& chunk = request->chunk < chunks_.size() ? chunks_[request->chunk] : unknown;
  std::string message = "the error is no text";
  if (*out_of_memory) {
    message = StrCat("out of memory (limit ", FormatSize(memory_bytes_), ")");
  } else if (lua_type(lua, -1) == LUA_TSTRING) {
    message = lua_tostring(lua, -1);
  }
  lua_settop(lua, 0);
  return absl::InvalidArgumentError(chunk.Tidy(message));
}

}  // namespace millrace
