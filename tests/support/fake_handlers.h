// Handler processes in memory, which speak the protocol's bytes: a running total of `v` for each key. What a
// record's `g` says, they do: "fail", "die", "hang", "lie", "twice"; anything else is a record like others.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/handler/handler_pool.h"
#include "nlohmann/json.hpp"

namespace millrace {

// Not thread-safe.
class FakeHandlers : public HandlerLink {
 public:
  struct Plan {
    int processes = 2;
    int capacity = 2;
    std::string mode = "keyed";
    // What is done with a call, from its value; empty: what `g` says.
    std::function<std::string(const nlohmann::json& value)> deed = {};
  };

  FakeHandlers(Plan plan, Clock& clock) : plan_(std::move(plan)), clock_(clock) {}

  bool Send(const std::string& peer, std::string_view kind, std::string_view body) override;
  // One process does something: one that is missing starts, or the next reads a message. False: there was
  // nothing to do.
  bool Run(HandlerPool& pool);
  // All of them die, as in a kill.
  void KillAll() { inboxes_.clear(); }

  uint64_t calls() const { return calls_; }
  uint64_t deaths() const { return deaths_; }

 private:
  using Message = std::pair<std::string, std::string>;  // kind, body
  struct Process {
    std::deque<Message> inbox;
    bool hangs = false;
  };

  void Read(const std::string& peer, Process& process, const Message& message, HandlerPool& pool);
  void RunBatch(const std::string& peer, const std::string& packed, HandlerPool& pool);
  static void Say(const std::string& peer, std::string_view kind, const nlohmann::json& body,
                  HandlerPool& pool);
  std::string DeedOf(const nlohmann::json& value) const;

  const Plan plan_;
  Clock& clock_;
  std::map<std::string, Process> inboxes_;  // by connection
  uint64_t started_ = 0;
  uint64_t calls_ = 0;
  uint64_t deaths_ = 0;
  std::string turn_;
};

}  // namespace millrace
