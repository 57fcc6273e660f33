#include "common/handler/pool_thread.h"

#include <charconv>
#include <utility>

#include "common/check.h"
#include "common/handler/protocol.h"
#include "common/strings.h"
#include "common/value/msgpack.h"

namespace millrace {
namespace {

constexpr absl::Duration kIdleWait = absl::Minutes(1);  // then a thread without a batch waits again

}  // namespace

PoolThreads::PoolThreads(Options options, Threads& threads)
    : options_(std::move(options)), threads_(threads), incoming_(threads), members_(options_.threads) {
  for (size_t i = 0; i < members_.size(); ++i) incoming_.Send({StrCat(i), Register(options_.mode)});
}

PoolThreads::~PoolThreads() {
  for (const auto& member : members_) {
    if (member != nullptr) member->batches.Send({});
  }
  for (const auto& member : members_) {
    if (member != nullptr) member->thread->Join();
  }
}

std::vector<std::string> PoolThreads::Register(HandlerMode mode) {
  std::string body;
  PackWriter writer(&body);
  writer.Map(5);
  writer.String("versions");
  writer.Array(1);
  writer.Int(kHandlerProtocol);
  writer.String("name");
  writer.String("thread");
  writer.String("sdk");
  writer.String("none");
  writer.String("mode");
  writer.String(HandlerModeName(mode));
  writer.String("capacity");
  writer.Int(kPoolThreadCapacity);
  return {std::string(kHandlerEnvelope), std::string(kRegisterMessage), std::move(body)};
}

// Of what a worker says to a handler only batches mean something to a thread.
bool PoolThreads::Send(const std::string& peer, std::string_view kind, std::string_view body) {
  if (kind != kBatchMessage) return true;
  size_t number = 0;
  std::from_chars(peer.data(), peer.data() + peer.size(), number);
  MILLRACE_CHECK(number < members_.size() && !body.empty());
  std::unique_ptr<Member>& member = members_[number];
  if (member == nullptr) {
    member = std::make_unique<Member>(threads_);
    member->thread = threads_.Start([this, peer, &started = *member] { Run(peer, started); });
  }
  member->batches.Send(std::string(body));
  return true;
}

bool PoolThreads::Receive(absl::Duration wait, Incoming* message) {
  const std::unique_ptr<Incoming> incoming = incoming_.Receive(wait);
  if (incoming == nullptr || incoming->frames.empty()) return false;
  *message = std::move(*incoming);
  return true;
}

void PoolThreads::Run(const std::string& name, Member& member) {
  const std::unique_ptr<PoolCode> code = options_.make_code();
  while (true) {
    const std::unique_ptr<std::string> batch = member.batches.Receive(kIdleWait);
    if (batch == nullptr) continue;
    if (batch->empty()) return;
    incoming_.Send({name, {std::string(kHandlerEnvelope), std::string(kResultMessage), code->Run(*batch)}});
  }
}

}  // namespace millrace
