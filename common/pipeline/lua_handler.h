// A stage's Lua code as a handler (docs/handlers.md): what one thread of a pool runs. It answers a batch with the
// result that a handler process would send.
//
// Unlike one, it goes on behind a call that failed, on the state before it: what becomes of the record is a function
// of the log. And what it sends is not checked again: values of Lua may be what a stranger's may not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/handler/pool_thread.h"
#include "common/job/job_spec.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/value/msgpack.h"

namespace millrace {

class LuaHandler final : public PoolCode {
 public:
  // REQUIRES: RunsInPool(spec). `watch` is told of each call; not owned, may be null. INVALID_ARGUMENT: the code does
  // not compile.
  static absl::StatusOr<std::unique_ptr<LuaHandler>> Create(const StageSpec& spec, size_t memory_bytes,
                                                            PoolCallWatch* watch);

  // REQUIRES: `batch` is a BatchBody with places.
  std::string Run(std::string_view batch) override;

 private:
  struct Key {
    std::string_view key;
    std::string state;  // packed; empty: none
  };
  // Rows of one list of the result.
  struct Rows {
    std::string packed;
    uint32_t count = 0;
    PackWriter Next(uint32_t size);
  };
  enum class What { kKeyed, kFilter, kMap, kFlatMap };

  LuaHandler(What what, std::unique_ptr<LuaSandbox> lua, LuaSandbox::ChunkId chunk, PoolCallWatch* watch)
      : what_(what), lua_(std::move(lua)), chunk_(chunk), watch_(watch) {}

  void ReadKeys(PackReader* reader);
  void ReadPlaces(PackReader* reader);
  void RunCalls(PackReader* reader, bool ending);
  void RunCall(PackReader* reader, uint32_t index, bool ending);
  void ReadHeaders(PackReader* reader);
  void ReadValue(PackReader* reader, RecordView* record);
  absl::Status RunKeyed(uint32_t index, const LuaInput& input, Key* key);
  absl::Status RunExpression(uint32_t index, const LuaInput& input);
  void TellKeyed(uint32_t index, Key* key);
  void AddOutput(uint32_t index, std::string_view packed);
  std::string Result(std::string_view id);

  const What what_;
  const std::unique_ptr<LuaSandbox> lua_;
  const LuaSandbox::ChunkId chunk_;
  PoolCallWatch* const watch_;

  // Of the batch under way.
  std::vector<Key> keys_;
  std::vector<CallPlace> places_;
  Rows states_, outputs_, timers_, errors_;
  // Scratch.
  KeyedCall call_;
  FieldNames fields_;
  std::string value_, headers_, packed_;
  std::vector<size_t> ends_;
};

}  // namespace millrace
