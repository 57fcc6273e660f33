// The JSON documents that the cluster keeps in its buckets: who writes each, and where, stands beside it.
//
//   mr-jobs         job.<name>              JobRecord         made once by submit; deleted by delete
//                   code.<uid>.<n>          CodeVersion       made once by update, n = 1, 2, …; deleted by delete
//   mr-workers      w.<name>                WorkerLease       put by that worker alone, every third of a lease
//                   c.<id>                  CoordinatorLease  put by that coordinator alone
//   mr-assignments  term.<n>                Term              made once by the coordinator that leads from then on
//                   assign.<term>.<n>       Assignment        made once by the term's leader; the greatest
//                                                             (term, n) is in force
//                   cmd.<uid>.<n>           Command           made once by the CLI; applied by the leader in
//                                                             order of revision
//                   drain.<worker>.<n>      Command           likewise, for a worker: drain, undrain
//                   final.<uid>             FinalStatus       made once: how the job ended
//                   fed.<uid>               InputFed          made once by submit, when every end mark was
//                                                             acknowledged
//                   fed.<uid>.add-<n>       InputFed          likewise, of an input beside the job's source
//                   added.<uid>.<n>         InputAdded        made once by submit: that input
//                   source.<uid>            SourceFed         put by whoever reads the job's source for ever,
//                                                             each second while it moves
//                   sink.<uid>              SinkReport        put by whoever brings results out to the job's sink,
//                                                             each second while it moves
//                   sink.<uid>.at           SinkStreamPosition  put by it, where the sink is a stream
//                                           SinkBatchPosition  put by it, each only on the one before, where the sink is a service
//                   sink.<uid>.done         SinkReport        made once by it: all of a job that has ended is out
//   mr-epochs       <uid>.<writer>.<epoch>  the claimer       made once
//                   <uid>.<writer>.read     InputRead         put by the ingest of a pipe, from time to time
//                   <uid>.sink.place        SinkPlace         made once by whoever begins a sink's file
//                   <uid>.<s>.<p>.begin.<n> LogBegin          see common/cluster/log_begin.h
//
// Every Decode answers INVALID_ARGUMENT on anything that is not such a document; unknown fields are ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/job/code_file.h"

namespace millrace {

struct InputFile {
  std::string name;  // as it was given; "-" for standard input
  uint64_t bytes = 0;
  // Of the first and last MiB and the size, of a pipe's first lines: tells other input from the same.
  std::string digest;
  bool operator==(const InputFile&) const = default;
};

struct JobRecord {
  std::string name;
  std::string uid;        // 16 hex digits, random
  std::string spec_text;  // the job file
  std::vector<InputFile> inputs;
  uint32_t partitions = 0;  // of the first segment
  int64_t created_ms = 0;
  std::vector<uint32_t> later_partitions = {};  // of the segments behind it
  uint32_t step_version = 1;                    // see common/step_version.h
  uint32_t standbys = 0;                        // of each partition: 0 or 1
  std::vector<CodeFile> files = {};             // what its code consists of beside the job file

  size_t segments() const { return 1 + later_partitions.size(); }
  SegmentId last_segment() const { return SegmentId(static_cast<uint32_t>(later_partitions.size())); }
  uint32_t partitions_of(SegmentId segment) const {
    return segment.value() == 0 ? partitions : later_partitions[segment.value() - 1];
  }
  // All partitions in a row, segment after segment: how many there are, and where one of them stands.
  size_t all_partitions() const;
  size_t IndexOf(SegmentId segment, PartitionId partition) const;
};

// What a job runs behind the mark of this version in each partition's log. Version 0 is the job's record.
struct CodeVersion {
  uint64_t version = 0;
  std::string spec_text;  // the job file
  uint32_t step_version = 1;
  int64_t created_ms = 0;
  std::vector<CodeFile> files = {};  // as in JobRecord
};

struct StageCount {  // of an `inspect` stage
  std::string stage;
  uint64_t records = 0;
};

struct PartitionReport {  // what an owner says of a partition, in its lease
  std::string job;
  std::string uid;
  uint32_t segment = 0;
  uint32_t partition = 0;
  uint64_t epoch = 0;
  uint64_t offset = 0;  // last applied
  uint64_t committed_offset = 0;
  int64_t committed_at_ms = 0;
  uint64_t checkpoint_offset = 0;  // of the newest checkpoint in the store; 0: none
  // All that was applied when the owner was told who is to have the partition next is in that checkpoint.
  bool stored_for_move = false;
  uint64_t records_in = 0;
  uint64_t records_out = 0;
  uint64_t dead_letters = 0;
  uint64_t retries = 0;
  uint64_t skipped = 0;                    // on_error: skip, and over a rate_limit
  std::vector<StageCount> inspected = {};  // by this owner, since it opened the partition
  uint64_t state_keys = 0;
  uint64_t state_bytes = 0;
  uint64_t code_version = 0;  // what runs behind `offset`
  uint64_t busy_us = 0;       // that its lane has spent on it, by this owner, since it opened the partition
  std::string state;          // restoring | running | paused | completed | failed | stopped
  std::string reason;  // failed: the job is to fail with this; stopped: what stopped the partition, loudly
};

// What a worker says, in its lease, of a partition that another one owns and whose state it copies.
struct CopyReport {
  std::string uid;
  uint32_t segment = 0;
  uint32_t partition = 0;
  uint64_t offset = 0;  // of the state on its disk; 0: none
  bool operator==(const CopyReport&) const = default;
};

struct WorkerLease {
  std::string name;
  std::string incarnation;  // 16 hex digits, random for each process and each rejoining
  int64_t pid = 0;
  std::string host;
  uint32_t lanes = 0;
  std::string state;          // ready | draining | stopped   (lost is what others see)
  uint64_t beat = 0;          // counts the lease's renewals
  double cpu = 0;             // cores used since the last beat
  uint64_t memory_bytes = 0;  // resident
  std::string version;
  std::string http;  // where it answers, if anywhere
  std::vector<PartitionReport> partitions;
  std::string data_id =
      {};  // of its data folder: tells a worker that was started again from another of its name
  std::string zone = {};      // where it runs, as it was told: a plan spreads jobs over zones
  std::string process = {};   // 16 hex digits, of each process: outlives rejoining, ends with a restart
  uint32_t step_version = 1;  // of its engine
  bool checkpoints = false;   // it has a checkpoint store, and so can give and take copies of state
  std::vector<CopyReport> copies = {};
};

struct CoordinatorLease {
  std::string id;
  uint64_t term = 0;  // that it leads; 0: none
  uint64_t beat = 0;
  std::string host;
  int64_t pid = 0;
  std::string http;
};

struct Term {
  uint64_t term = 0;
  std::string leader;            // a CoordinatorLease's id
  int64_t lease_ttl_ms = 15000;  // for workers and coordinators
};

struct JobAssignment {
  std::string job;
  std::string uid;
  bool paused = false;
  // Of all partitions, segment after segment (JobRecord::IndexOf): a worker's name, or empty.
  std::vector<std::string> owners;
  // Likewise; empty lists: nobody for any of them. Who keeps a copy of the partition's state, and who is to
  // own it as soon as it has one.
  std::vector<std::string> standbys = {};
  std::vector<std::string> next_owners = {};
};

struct Assignment {
  uint64_t term = 0;
  uint64_t number = 0;
  std::vector<JobAssignment> jobs;
  std::vector<std::string> draining = {};  // workers that are to stay empty
};

struct Command {
  std::string verb;          // pause | resume | cancel; drain | undrain
  std::string id;            // random: who asked
  std::string process = {};  // drain, undrain: the worker's process that is meant
};

// A job of more partitions does not keep their reports: a document is one message.
inline constexpr size_t kMaxFinalReports = 1024;

struct FinalStatus {
  std::string state;  // completed | failed | cancelled
  std::string reason;
  int64_t ended_ms = 0;
  uint64_t records_in = 0, records_out = 0, dead_letters = 0;
  uint64_t term = 0;
  uint64_t skipped = 0;
  std::vector<StageCount> inspected = {};
  std::vector<PartitionReport> partitions = {};  // the last that their owners said, in any order
};

struct InputPoint {
  uint64_t position = 0;
  uint32_t digest = 0;  // of what was read of pipes and compressed files before it
};

struct InputRead {
  std::vector<InputPoint> points;  // in order of position; the first, and the last few
};

// How far a source that never ends was read.
struct SourceFed {
  std::string stream;
  uint64_t position = 0;  // the sequence of the last message that was taken
  uint64_t records = 0;
  uint64_t rejected = 0;  // messages that were no record; they are dead letters
  uint64_t lost = 0;      // deleted from the stream before they were read
  uint64_t epoch = 0;
  std::string trouble;  // why it does not go on
  bool operator==(const SourceFed&) const = default;
};

struct InputFed {
  uint64_t records = 0;
  uint64_t rejected = 0;  // lines that were no record; they are dead letters
  uint64_t epoch = 0;
  InputPoint end = {};  // of pipes and compressed files: all that was read; position 0 where it is not known
};

// Files that are fed to a job beside the source that it reads.
struct InputAdded {
  std::vector<InputFile> inputs;
  int64_t added_ms = 0;
};

// How far a partition's results were brought out.
struct SinkPartition {
  int64_t created_ns = 0;  // of its result stream: tells it from one made anew
  uint64_t sequence = 0;   // the last message of the stream that is out
  // Its writer's cursor behind that message (rule R3).
  uint64_t epoch = 0;
  uint64_t offset = 0;
  uint32_t index = 0;
  bool ended = false;
  bool operator==(const SinkPartition&) const = default;
};

struct SinkPosition {
  uint64_t records = 0;                   // in all
  std::vector<SinkPartition> partitions;  // of the last segment, all of them; empty: nothing is out
  bool operator==(const SinkPosition&) const = default;
};

// Lies beside a sink's file, in no bucket.
struct SinkFilePosition {
  std::string uid;
  std::string id;  // the SinkPlace's
  std::string job;
  uint32_t part = 1;    // that is written, counted from 1
  uint64_t length = 0;  // of it: what is behind that is not out
  SinkPosition position;
  bool operator==(const SinkFilePosition&) const = default;
};

// Of a sink that is a stream.
struct SinkStreamPosition {
  std::string writer;  // random: who put it
  SinkPosition position;
};

// Of a sink to which results are sent in batches. What is sent is noted before, so that whoever sends it again cuts it
// into the same batches.
struct SinkBatchPosition {
  std::string writer;     // random: who put it
  uint64_t notes = 0;     // that were put, this one too
  SinkPosition position;  // all before it is out
  SinkPosition sending;   // behind what is being sent; as `position`: nothing is
};

// Where the file is that a job's results go to. There is one, on one machine.
struct SinkPlace {
  std::string id;  // random
  std::string host;
  std::string path;  // absolute
};

struct SinkReport {
  std::string to;        // for people: "file /var/out.jsonl on host a"
  uint64_t records = 0;  // that are out
  std::string trouble;   // why it does not go on
  bool operator==(const SinkReport&) const = default;
};

// Adds each stage's count to that of its name.
void AddCounts(const std::vector<StageCount>& from, std::vector<StageCount>* to);

std::string Encode(const JobRecord&);
std::string Encode(const CodeVersion&);
std::string Encode(const WorkerLease&);
std::string Encode(const CoordinatorLease&);
std::string Encode(const Term&);
std::string Encode(const Assignment&);
std::string Encode(const Command&);
std::string Encode(const FinalStatus&);
std::string Encode(const InputRead&);
std::string Encode(const SourceFed&);
std::string Encode(const InputFed&);
std::string Encode(const InputAdded&);
std::string Encode(const SinkFilePosition&);
std::string Encode(const SinkStreamPosition&);
std::string Encode(const SinkBatchPosition&);
std::string Encode(const SinkPlace&);
std::string Encode(const SinkReport&);
absl::StatusOr<JobRecord> DecodeJobRecord(std::string_view json);
absl::StatusOr<CodeVersion> DecodeCodeVersion(std::string_view json);
absl::StatusOr<WorkerLease> DecodeWorkerLease(std::string_view json);
absl::StatusOr<CoordinatorLease> DecodeCoordinatorLease(std::string_view json);
absl::StatusOr<Term> DecodeTerm(std::string_view json);
absl::StatusOr<Assignment> DecodeAssignment(std::string_view json);
absl::StatusOr<Command> DecodeCommand(std::string_view json);
absl::StatusOr<FinalStatus> DecodeFinalStatus(std::string_view json);
absl::StatusOr<InputRead> DecodeInputRead(std::string_view json);
absl::StatusOr<SourceFed> DecodeSourceFed(std::string_view json);
absl::StatusOr<InputFed> DecodeInputFed(std::string_view json);
absl::StatusOr<InputAdded> DecodeInputAdded(std::string_view json);
absl::StatusOr<SinkFilePosition> DecodeSinkFilePosition(std::string_view json);
absl::StatusOr<SinkStreamPosition> DecodeSinkStreamPosition(std::string_view json);
absl::StatusOr<SinkBatchPosition> DecodeSinkBatchPosition(std::string_view json);
absl::StatusOr<SinkPlace> DecodeSinkPlace(std::string_view json);
absl::StatusOr<SinkReport> DecodeSinkReport(std::string_view json);

}  // namespace millrace
