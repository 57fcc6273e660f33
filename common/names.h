// Names of streams, subjects, buckets and keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/ids.h"

namespace millrace {

inline constexpr char kJobsBucket[] = "mr-jobs";
inline constexpr char kWorkersBucket[] = "mr-workers";
inline constexpr char kAssignmentsBucket[] = "mr-assignments";
inline constexpr char kEpochsBucket[] = "mr-epochs";

// Keys of the buckets; what is at each is in common/cluster/documents.h.
inline constexpr char kJobPrefix[] = "job.";
inline constexpr char kCodePrefix[] = "code.";
inline constexpr char kWorkerPrefix[] = "w.";
inline constexpr char kCoordinatorPrefix[] = "c.";
inline constexpr char kTermPrefix[] = "term.";
inline constexpr char kAssignmentPrefix[] = "assign.";
inline constexpr char kCommandPrefix[] = "cmd.";
inline constexpr char kDrainPrefix[] = "drain.";
inline constexpr char kFinalPrefix[] = "final.";
inline constexpr char kFedPrefix[] = "fed.";
inline constexpr char kSourcePrefix[] = "source.";
inline constexpr char kAddedPrefix[] = "added.";
inline constexpr char kSinkPrefix[] = "sink.";
std::string JobKey(std::string_view job);
std::string CodesPrefix(
    std::string_view uid);  // code.<uid>.: updates of a job's code, their versions behind it
std::string CodeKey(std::string_view uid, uint64_t version);
std::string WorkerKey(std::string_view name);
std::string CoordinatorKey(std::string_view id);
std::string CommandsPrefix(std::string_view uid);   // cmd.<uid>.: a job's commands, a number behind it
std::string DrainsPrefix(std::string_view worker);  // drain.<worker>.: likewise, a worker's
std::string FinalKey(std::string_view uid);
std::string FedKey(std::string_view uid);
std::string FedKey(std::string_view uid, std::string_view writer);  // fed.<uid>.<writer>; fed.<uid> of "in"
std::string AddedPrefix(std::string_view uid);                      // added.<uid>.: a number behind it
std::string AddedKey(std::string_view uid, uint32_t number);
std::string SourceKey(std::string_view uid);
std::string SinkKey(std::string_view uid);
std::string SinkAtKey(std::string_view uid);               // sink.<uid>.at
std::string SinkDoneKey(std::string_view uid);             // sink.<uid>.done
std::string SinkPlaceKey(std::string_view uid);            // in mr-epochs: <uid>.sink.place
std::string BucketStream(std::string_view bucket);         // KV_<bucket>: a NATS bucket is a stream (ADR-8)
std::string BucketSubjectPrefix(std::string_view bucket);  // $KV.<bucket>.: a key behind it

std::string InputStream(std::string_view job, SegmentId s, PartitionId p);   // mr-j-s-p
std::string InputSubject(std::string_view job, SegmentId s, PartitionId p);  // mr.j.s.p
std::string SourceStream(std::string_view job);  // mr-j-source: of a subject that no stream held
std::string ResultStream(std::string_view job, PartitionId p);                    // mr-j-out-p
std::string ResultSubject(std::string_view job, PartitionId p);                   // mr.j.out.p
std::string VerdictStream(std::string_view job, SegmentId s, PartitionId p);      // mr-j-s-p-v
std::string VerdictSubject(std::string_view job, SegmentId s, PartitionId p);     // mr.j.s.p.v
std::string DeadLetterStream(std::string_view job);                               // mr-j-dead
std::string DeadLetterSubject(std::string_view job, SegmentId s, PartitionId p);  // mr.j.dead.s.p
std::string DeadLetterSubjects(std::string_view job);                             // mr.j.dead.>
std::string TableStream(std::string_view job);                                    // mr-j-tables
std::string TableDataSubject(std::string_view job);                               // mr.j.tables.data
std::string TableSubject(std::string_view job, std::string_view sha256);          // mr.j.tables.<sha256>
std::string TableSubjects(std::string_view job);                                  // mr.j.tables.>
// What a dead letter of a partition is called: segment.partition.offset.record
std::string DeadLetterId(SegmentId s, PartitionId p, Offset offset, uint32_t record);
std::string EpochKey(std::string_view uid, std::string_view writer,
                     Epoch epoch);  // uid.writer.epoch; writer "in", "add-n" or "s.p"
std::string InputReadKey(std::string_view uid, std::string_view writer);  // uid.writer.read
std::string StreamDescription(std::string_view uid);                      // "millrace <uid>"
std::string WorkerSubject(std::string_view incarnation);  // mr.rpc.<incarnation>: state and the like

// For people: "7", and "1-7" behind the first segment.
std::string PartitionText(SegmentId s, PartitionId p);

// [A-Za-z0-9_-], 1 to kMaxNameBytes: what a job, a stage or a worker may be called.
inline constexpr size_t kMaxNameBytes = 64;
bool IsValidName(std::string_view name);

}  // namespace millrace
