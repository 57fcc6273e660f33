#include "coordinator/results/result_reader.h"

#include <utility>

#include "common/names.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {
namespace {
constexpr absl::Duration kFollowWait = absl::Milliseconds(50);  // without results, before `idle`
constexpr absl::Duration kOverInterval =
    absl::Milliseconds(500);  // between questions whether the job is over

absl::Status TakeAll(StreamSet* streams, StreamSet::Id id, ResultCursor* cursor,
                     const ResultCursor::Visit& visit) {
  while (true) {
    const auto message = streams->Next(id);
    if (!message.ok()) return message.status();
    if (!message->has_value()) return absl::OkStatus();
    if (const absl::Status status = cursor->Take(**message, visit); !status.ok()) return status;
  }
}
}  // namespace

ResultReader::ResultReader(Bus& bus, Clock& clock, const JobRecord& job, ResultQuery query)
    : bus_(bus), clock_(clock), job_(job), query_(std::move(query)) {}

std::vector<PartitionId> ResultReader::Partitions() const {
  if (query_.partition) return {PartitionId(*query_.partition)};
  std::vector<PartitionId> all;
  const uint32_t partitions = job_.partitions_of(job_.last_segment());
  for (uint32_t p = 0; p < partitions; ++p) all.emplace_back(p);
  return all;
}

ResultCursor::Visit ResultReader::Filtered(PartitionId partition, const Visit& visit) const {
  return [this, partition, &visit](const RecordView& record) -> absl::Status {
    if (record.offset.value() < query_.from_offset) return absl::OkStatus();
    if (query_.key && record.key != *query_.key) return absl::OkStatus();
    return visit(partition, record);
  };
}

absl::Status ResultReader::ReadAll(const Visit& visit) {
  StreamSet streams(bus_, clock_);
  for (const PartitionId partition : Partitions()) {
    const std::string name = ResultStream(job_.name, partition);
    const auto info = bus_.GetStream(name);
    if (absl::IsNotFound(info.status())) continue;  // a job without results, or not begun
    if (!info.ok()) return info.status();
    ResultCursor cursor(job_.uid, job_.last_segment(), partition);
    const auto filtered = Filtered(partition, visit);
    const auto stream =
        streams.Open({name, std::max<uint64_t>(1, info->first_sequence), info->last_sequence});
    if (const absl::Status status = TakeAll(&streams, stream, &cursor, filtered); !status.ok()) return status;
    streams.Close(stream);
  }
  return absl::OkStatus();
}

absl::Status ResultReader::Follow(const Visit& visit, const std::function<absl::StatusOr<bool>()>& over,
                                  const std::function<absl::Status()>& idle) {
  struct Followed {
    std::string stream;
    ResultCursor cursor;
    ResultCursor::Visit visit;
  };
  StreamSet streams(bus_, clock_);
  std::map<StreamSet::Id, Followed> open;
  for (const PartitionId partition : Partitions()) {
    const std::string name = ResultStream(job_.name, partition);
    // Whoever submits makes the streams after the job's record.
    const auto id = streams.Open({.stream = name, .last = kNoEnd, .await_stream = true});
    open.emplace(id, Followed{name, ResultCursor(job_.uid, job_.last_segment(), partition),
                              Filtered(partition, visit)});
  }
  absl::Duration next_question = clock_.Monotonic() + kOverInterval;
  while (!open.empty()) {
    const auto arrival = streams.NextOfAny(kFollowWait);
    if (!arrival.ok()) return arrival.status();
    if (arrival->message) {
      Followed& followed = open.at(arrival->id);
      if (const absl::Status s = followed.cursor.Take(*arrival->message, followed.visit); !s.ok()) return s;
      if (followed.cursor.ended()) {
        open.erase(arrival->id);
        streams.Close(arrival->id);
      }
      continue;
    }
    if (const absl::Status status = idle(); !status.ok()) return status;
    if (clock_.Monotonic() < next_question) continue;
    next_question = clock_.Monotonic() + kOverInterval;
    const auto is_over = over();
    if (!is_over.ok()) return is_over.status();
    if (!*is_over) continue;
    // What the owners wrote before the job was over may still be on its way.
    for (auto& [id, followed] : open) {
      const auto info = bus_.GetStream(followed.stream);
      if (!info.ok()) return info.status();
      streams.LimitTo(id, info->last_sequence);
      const absl::Status status = TakeAll(&streams, id, &followed.cursor, followed.visit);
      if (!status.ok()) return status;
    }
    break;
  }
  return idle();
}

}  // namespace millrace
