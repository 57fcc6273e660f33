#include "coordinator/chaos/collect.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "common/strings.h"
#include "coordinator/chaos/ledger.h"
#include "coordinator/chaos/monitor.h"
#include "coordinator/chaos/plain_reader.h"

namespace millrace::chaos {
namespace {

constexpr char kWireHeader[] = "Millrace";
constexpr char kExpectedHeader[] = "Nats-Expected-Last-Sequence";
constexpr int kMostStreamPages = 1000;

// One stream of a job: which messages count, and what is in them.
class StreamWalk {
 public:
  StreamWalk(std::string stream, const std::string& uid, LedgerHistory* ledger)
      : stream_(std::move(stream)), reader_(uid), ledger_(ledger) {}

  // What a message that counts holds beyond the reader's mark for its writer.
  struct Counted {
    PlainHeader header;
    Taken taken = Taken::kForeign;
    PlainMark from;
    std::vector<PlainRecord> records;
  };
  bool Read(const PlainMessage& message, Counted* counted) {
    const auto header = ParsePlainHeader(message.Header(kWireHeader));
    if (!header.ok()) return Unreadable(message, header.status());
    counted->header = *header;
    counted->taken = reader_.Judge(*header, &counted->from);
    counted->records.clear();
    const bool has_records = header->kind == 'd' || header->kind == 'r';
    if (counted->taken != Taken::kTaken || !has_records) return true;
    auto records = ReadPlainFrame(message.payload);
    if (!records.ok()) return Unreadable(message, records.status());
    counted->records = *std::move(records);
    return true;
  }
  bool Unreadable(const PlainMessage& message, const absl::Status& why) {
    ledger_->unreadable.push_back(
        StrCat(stream_, ", message ", message.sequence, ": ", ToStd(why.message())));
    return false;
  }

 private:
  const std::string stream_;
  PlainReader reader_;
  LedgerHistory* const ledger_;
};

void TakeInput(StreamWalk& walk, const PlainMessage& message, PartitionHistory* partition) {
  StreamWalk::Counted counted;
  if (!walk.Read(message, &counted)) return;
  for (const PlainRecord& record : counted.records) {
    const bool is_numbered =
        record.value.is_object() && record.value.contains("seq") && record.value["seq"].is_number_integer();
    if (!is_numbered) {
      walk.Unreadable(message, absl::DataLossError("a record without its number"));
      return;
    }
    partition->log.push_back({message.sequence, record.key, record.value["seq"].get<uint64_t>()});
  }
}

void TakeResults(StreamWalk& walk, const PlainMessage& message, LedgerKind kind,
                 PartitionHistory* partition) {
  StreamWalk::Counted counted;
  if (!walk.Read(message, &counted)) return;
  ResultMessage seen{message.sequence,    counted.header.kind, counted.header.epoch,
                     counted.header.prev, counted.header.upto, {},
                     counted.taken};
  uint64_t expected = 0;
  const std::string_view text = message.Header(kExpectedHeader);
  if (absl::SimpleAtoi(ToAbsl(text), &expected)) seen.expected_last = expected;
  partition->messages.push_back(seen);
  for (const PlainRecord& record : counted.records) {
    if (PlainMark(record.offset, record.index) < counted.from) continue;  // taken before
    const auto entry = ParseLedgerEntry(record.value, kind);
    if (!entry.ok()) {
      walk.Unreadable(message, entry.status());
      return;
    }
    partition->outputs.push_back({record.offset, record.index, record.key, *entry});
  }
}

// What crosses is an output of the one segment and a record of the other's log.
void TakeCrossing(StreamWalk& walk, const PlainMessage& message, size_t p, LedgerHistory* first,
                  LedgerHistory* second) {
  StreamWalk::Counted counted;
  if (!walk.Read(message, &counted) || counted.records.empty()) return;
  size_t writer = 0;
  const auto partitions = static_cast<uint32_t>(first->partitions.size());
  absl::string_view number = counted.header.writer;
  if (!absl::ConsumePrefix(&number, "0.") || !absl::SimpleAtoi(number, &writer) || writer >= partitions) {
    walk.Unreadable(message, absl::DataLossError("records of " + counted.header.writer));
    return;
  }
  for (const PlainRecord& record : counted.records) {
    if (PlainMark(record.offset, record.index) < counted.from) continue;  // taken before
    const auto entry = ParseLedgerEntry(record.value, first->kind);
    const std::string from = record.value.is_object() ? record.value.value("from", "") : "";
    if (!entry.ok() || record.key != GroupOf(from) || PlainPartition(record.key, partitions) != p) {
      walk.Unreadable(message, entry.ok()
                                   ? absl::DataLossError("a record of " + from + " under " + record.key)
                                   : entry.status());
      return;
    }
    first->partitions[writer].outputs.push_back({record.offset, record.index, from, *entry});
    second->partitions[p].log.push_back({message.sequence, record.key, entry->last, from});
  }
}

// One stream's are in order; there are several, and what stands twice stays.
void SortByLabel(std::vector<Output>* outputs) {
  std::stable_sort(outputs->begin(), outputs->end(), [](const Output& a, const Output& b) {
    return PlainMark(a.offset, a.index) < PlainMark(b.offset, b.index);
  });
}

absl::Status WalkStream(PlainNats& nats, const std::string& stream, const std::string& uid,
                        LedgerHistory* ledger,
                        const std::function<void(StreamWalk&, const PlainMessage&)>& take) {
  StreamWalk walk(stream, uid, ledger);
  return nats.ReadAll(stream, [&](const PlainMessage& message) { take(walk, message); });
}

absl::Status CollectLetters(PlainNats& nats, const std::string& name, LedgerHistory* ledger) {
  std::set<std::string> ids;
  absl::Status status = nats.ReadAll(StrCat("mr-", name, "-dead"), [&](const PlainMessage& message) {
    const auto letter = nlohmann::json::parse(message.payload, nullptr, false);
    const std::string id = letter.is_object() ? letter.value("id", "") : "";
    if (id.empty()) {
      ledger->unreadable.push_back(StrCat("dead letter ", message.sequence, " is no JSON with an id"));
    } else if (ids.insert(id).second) {
      const auto value = letter.value("value", nlohmann::json::object());
      const uint64_t seq = value.is_object() ? value.value("seq", uint64_t{0}) : 0;
      ledger->dead_letters.push_back({id, letter.value("key", ""), seq});
    }
  });
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status DumpStream(PlainNats& nats, const std::string& stream, const std::string& folder) {
  std::ofstream file(StrCat(folder, "/", stream, ".jsonl"));
  absl::Status status = nats.ReadAll(stream, [&](const PlainMessage& message) {
    nlohmann::ordered_json line = {{"sequence", message.sequence},
                                   {"headers", nlohmann::ordered_json::object()}};
    for (const auto& [header, value] : message.headers) line["headers"][header] = value;
    line["payload_base64"] = absl::Base64Escape(message.payload);
    file << line.dump() << '\n';
  });
  return status.ok() && !file ? absl::FailedPreconditionError(StrCat("cannot write to ", folder)) : status;
}

}  // namespace

absl::Status CollectStreams(PlainNats& nats, const std::string& name, const std::string& uid,
                            LedgerHistory* first, LedgerHistory* second) {
  LedgerHistory* const last = second == nullptr ? first : second;
  for (size_t p = 0; p < first->partitions.size(); ++p) {
    PartitionHistory* log = &first->partitions[p];
    absl::Status status = log->stops_loudly ? absl::OkStatus()
                                            : WalkStream(nats, StrCat("mr-", name, "-0-", p), uid, first,
                                                         [&](StreamWalk& walk, const PlainMessage& message) {
                                                           TakeInput(walk, message, log);
                                                         });
    if (status.ok() && second != nullptr) {
      status = WalkStream(nats, StrCat("mr-", name, "-1-", p), uid, second,
                          [&](StreamWalk& walk, const PlainMessage& message) {
                            TakeCrossing(walk, message, p, first, second);
                          });
    }
    if (status.ok()) {
      status = WalkStream(nats, StrCat("mr-", name, "-out-", p), uid, last,
                          [&](StreamWalk& walk, const PlainMessage& message) {
                            TakeResults(walk, message, last->kind, &last->partitions[p]);
                          });
    }
    if (!status.ok()) return status;
  }
  if (second != nullptr) {
    for (PartitionHistory& partition : first->partitions) SortByLabel(&partition.outputs);
  }
  return CollectLetters(nats, name, first);
}

absl::Status DumpStreams(PlainNats& nats, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  uint64_t offset = 0;
  for (int page = 0; page < kMostStreamPages; ++page) {
    const auto names = nats.Api("STREAM.NAMES", {{"offset", offset}});
    if (!names.ok()) return names.status();
    const auto streams = names->value("streams", nlohmann::json());
    if (!streams.is_array() || streams.empty()) break;
    for (const auto& stream : streams) {
      absl::Status status = DumpStream(nats, stream.get<std::string>(), folder);
      if (!status.ok()) return status;
    }
    offset += streams.size();
    if (offset >= names->value("total", uint64_t{0})) break;
  }
  return absl::OkStatus();
}

}  // namespace millrace::chaos
