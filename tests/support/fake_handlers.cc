#include "tests/support/fake_handlers.h"

#include <set>

#include "absl/strings/str_cat.h"

namespace millrace {

using nlohmann::json;

bool FakeHandlers::Send(const std::string& peer, std::string_view kind, std::string_view body) {
  const auto found = inboxes_.find(peer);
  if (found == inboxes_.end()) return false;
  found->second.inbox.emplace_back(kind, body);
  return true;
}

void FakeHandlers::Say(const std::string& peer, std::string_view kind, const json& body, HandlerPool& pool) {
  const std::vector<uint8_t> packed = json::to_msgpack(body);
  pool.Receive(peer, {"MR1", std::string(kind), std::string(packed.begin(), packed.end())});
}

bool FakeHandlers::Run(HandlerPool& pool) {
  // What hangs ends itself some time after it was given up.
  std::erase_if(inboxes_, [](const auto& entry) {
    const auto& [peer, process] = entry;
    return process.hangs && !process.inbox.empty() && process.inbox.back().first == "refused";
  });
  if (inboxes_.size() < static_cast<size_t>(plan_.processes)) {
    const std::string peer = absl::StrCat("process-", ++started_);
    inboxes_[peer];
    Say(peer, "register",
        {{"versions", {1}},
         {"name", "total"},
         {"sdk", "fake"},
         {"mode", plan_.mode},
         {"capacity", plan_.capacity}},
        pool);
    return true;
  }
  if (inboxes_.empty()) return false;
  auto next = inboxes_.upper_bound(turn_);
  for (size_t i = 0; i <= inboxes_.size(); ++i) {
    if (next == inboxes_.end()) next = inboxes_.begin();
    if (!next->second.hangs && !next->second.inbox.empty()) break;
    ++next;
  }
  if (next == inboxes_.end() || next->second.hangs || next->second.inbox.empty()) return false;
  turn_ = next->first;
  const Message message = std::move(next->second.inbox.front());
  next->second.inbox.pop_front();
  const std::string peer = next->first;
  Read(peer, next->second, message, pool);
  return true;
}

void FakeHandlers::Read(const std::string& peer, Process& process, const Message& message,
                        HandlerPool& pool) {
  if (message.first == "heartbeat") return Say(peer, "heartbeat", json::object(), pool);
  if (message.first == "batch") return RunBatch(peer, message.second, pool);
  if (message.first != "refused") return;
  process = {};  // registers anew, with a new connection
  inboxes_.erase(peer);
}

std::string FakeHandlers::DeedOf(const json& value) const {
  if (plan_.deed) return plan_.deed(value);
  return value.is_object() ? value.value("g", "") : "";
}

void FakeHandlers::RunBatch(const std::string& peer, const std::string& packed, HandlerPool& pool) {
  const json batch = json::from_msgpack(packed);
  Say(peer, "progress", {{"id", batch["id"]}, {"done", 0}}, pool);
  std::vector<json> states;
  for (const json& key : batch["keys"]) states.push_back(key[1]);
  json changes = json::array(), outputs = json::array(), errors = json::array();
  std::set<size_t> failed;
  bool lies = false, twice = false;
  for (size_t i = 0; i < batch["calls"].size(); ++i) {
    const json& call = batch["calls"][i];
    const size_t key = call[1];
    if (failed.contains(key)) continue;
    ++calls_;
    const std::string deed = DeedOf(call[2]);
    if (deed == "die") {
      ++deaths_;
      inboxes_.erase(peer);
      return;
    }
    if (deed == "hang") {
      inboxes_[peer].hangs = true;
      return;
    }
    if (deed == "fail") {
      failed.insert(key);
      errors.push_back({i, "it fails"});
      continue;
    }
    lies |= deed == "lie";
    twice |= deed == "twice";
    const int64_t before = states[key].is_null() ? 0 : states[key]["total"].get<int64_t>();
    const int64_t total = before + (call[2].is_object() ? call[2].value("v", int64_t{0}) : 0);
    states[key] = {{"total", total}};
    if (plan_.mode == "keyed") changes.push_back({i, states[key]});
    outputs.push_back(
        {i, {{"total", plan_.mode == "keyed" ? total : call[2].value("v", int64_t{0})}}, nullptr, nullptr});
  }
  if (lies) outputs.push_back({batch["calls"].size(), 1, nullptr, nullptr});
  const json result = {{"id", batch["id"]}, {"states", changes}, {"outputs", outputs}, {"errors", errors}};
  Say(peer, "result", result, pool);
  if (twice) Say(peer, "result", result, pool);
}

}  // namespace millrace
