#include "worker/partition/dead_letter_writer.h"

#include <nlohmann/json.hpp>

#include "common/broker_limits.h"
#include "common/log.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "worker/partition/cookie.h"

namespace millrace {
namespace {

// At most `most` bytes; a longer key or value is cut.
void PutCut(nlohmann::ordered_json& json, const std::string& name, std::string_view bytes, size_t most) {
  if (bytes.size() > most) {
    json[name + "_bytes"] = bytes.size();
    json["truncated"] = true;
    bytes = Shorten(bytes, most);
  }
  PutBytes(json, name, bytes);
}

// A JSON value as itself, other bytes as text or base64.
void PutValue(nlohmann::ordered_json& json, const DeadLetter& letter, size_t most) {
  if (letter.shape != kRawShape) {
    std::string text;
    if (AppendJson({letter.value, letter.shape, letter.fields}, &text).ok() && text.size() <= most) {
      json["value"] = nlohmann::ordered_json::parse(text, nullptr, false);
      return;
    }
  }
  PutCut(json, "value", letter.value, most);
}

std::string EncodeLetter(const PartitionKey& partition, Offset offset, const DeadLetter& letter,
                         size_t most) {
  nlohmann::ordered_json json;
  json["id"] = DeadLetterId(partition.segment, partition.partition, offset, letter.record);
  json["uid"] = partition.uid;
  json["job"] = partition.job;
  json["segment"] = partition.segment.value();
  json["partition"] = partition.partition.value();
  json["offset"] = offset.value();
  json["record"] = letter.record;
  PutCut(json, "key", letter.key, most);
  PutValue(json, letter, most);
  json["time"] =
      letter.time_ms == kNoTime ? nlohmann::ordered_json() : nlohmann::ordered_json(letter.time_ms);
  json["stage"] = letter.stage;
  json["error"] = letter.error;
  json["attempts"] = letter.attempts;
  return JsonText(json);
}

}  // namespace

// Text may be six times as long in JSON as it is.
std::string DeadLetterJson(const PartitionKey& partition, Offset offset, const DeadLetter& letter) {
  size_t most = kMaxDeadLetterValueBytes;
  std::string json = EncodeLetter(partition, offset, letter, most);
  while (json.size() > kMaxOutputBytes) json = EncodeLetter(partition, offset, letter, most /= 4);
  return json;
}

DeadLetterWriter::DeadLetterWriter(const PartitionKey& partition, Bus& bus, Clock& clock,
                                   uint64_t cookie_base)
    : partition_(partition),
      subject_(partition.dead_letter_subject()),
      bus_(bus),
      clock_(clock),
      cookie_base_(cookie_base) {}

void DeadLetterWriter::Add(Offset offset, const DeadLetter& letter) {
  cookie_counter_ = static_cast<uint32_t>((cookie_counter_ + 1) & kCookieCounterMask);
  const uint64_t cookie = cookie_base_ | cookie_counter_;
  Waiting& waiting = waiting_[cookie];
  waiting.id = StrCat(partition_.uid, ".",
                      DeadLetterId(partition_.segment, partition_.partition, offset, letter.record));
  waiting.payload = DeadLetterJson(partition_, offset, letter);
  waiting.offset = offset;
  Send(cookie, waiting);
}

void DeadLetterWriter::Send(uint64_t cookie, Waiting& letter) {
  AppendRequest request;
  request.subject = subject_;
  request.payload = letter.payload;
  request.message_id = letter.id;
  request.cookie = cookie;
  letter.sent = bus_.Append(request).ok();
  letter.sent_at = clock_.Monotonic();
}

bool DeadLetterWriter::HandleAppended(uint64_t cookie, const absl::Status& status) {
  if ((cookie & ~kCookieCounterMask) != cookie_base_) return false;
  const auto it = waiting_.find(cookie);
  if (it == waiting_.end()) return true;
  if (status.ok()) {
    waiting_.erase(it);
  } else {
    LogWarning("a dead letter was not taken: sending it again", {{"id", it->second.id}, {"why", status}});
  }
  return true;
}

void DeadLetterWriter::HandleReconnected() {
  for (auto& [cookie, letter] : waiting_) Send(cookie, letter);
}

void DeadLetterWriter::Tick() {
  const absl::Duration now = clock_.Monotonic();
  for (auto& [cookie, letter] : waiting_) {
    if (!letter.sent || now - letter.sent_at > kDeadLetterAckDeadline) Send(cookie, letter);
  }
}

bool DeadLetterWriter::AckedUpTo(Offset offset) const {
  for (const auto& [cookie, letter] : waiting_) {
    if (letter.offset <= offset) return false;
  }
  return true;
}

}  // namespace millrace
