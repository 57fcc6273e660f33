// Threads of a pool in memory: the code is real, and runs when the test says so.
#pragma once

#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/handler/handler_pool.h"
#include "common/handler/pool_thread.h"
#include "common/pipeline/lua_handler.h"
#include "gtest/gtest.h"

namespace millrace {

// Not thread-safe.
class LuaPool : public HandlerLink {
 public:
  explicit LuaPool(const HandlerStage& stage) : stage_(stage) {}

  bool Send(const std::string& peer, std::string_view kind, std::string_view body) override {
    if (kind == kBatchMessage) batches_.emplace_back(peer, body);
    return true;
  }
  // A thread that is missing starts, or the one with the oldest batch, or the newest, runs it. False: there was
  // nothing to do.
  enum class Turn { kOldest, kNewest };
  bool Run(HandlerPool& pool, Turn turn = Turn::kOldest) {
    if (code_.size() < stage_.concurrency) {
      auto made = LuaHandler::Create(*stage_.lua, 16 << 20, nullptr);
      EXPECT_TRUE(made.ok()) << made.status();
      const std::string peer = std::to_string(code_.size());
      code_[peer] = *std::move(made);
      pool.Receive(peer, PoolThreads::Register(stage_.mode));
      return true;
    }
    if (batches_.empty()) return false;
    const auto next = turn == Turn::kOldest ? batches_.begin() : std::prev(batches_.end());
    const auto [peer, batch] = *next;
    batches_.erase(next);
    pool.Receive(peer, {"MR1", "result", code_.at(peer)->Run(batch)});
    return true;
  }
  size_t batches() const { return batches_.size(); }

 private:
  const HandlerStage stage_;
  std::map<std::string, std::unique_ptr<LuaHandler>> code_;  // by peer
  std::deque<std::pair<std::string, std::string>> batches_;  // peer, body
};

}  // namespace millrace
