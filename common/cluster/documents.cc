#include "common/cluster/documents.h"

#include <algorithm>
#include <utility>

#include "common/strings.h"
#include "common/value/json_text.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using nlohmann::json;

// Each document lists its fields once, for both directions: `Fields(codec, document)` calls
// codec("name", field) for every one. A writer puts the field into the object; a reader takes it out, and is
// content without it where it came in a later version (`Later`), or is left out while it says nothing (`Rare`).
template <typename C, typename D>
void Fields(C& c, D& d);

class Writer {
 public:
  template <typename T>
  void operator()(const char* name, const T& value) {
    object_[name] = ToJson(value);
  }
  template <typename T>
  void Later(const char* name, const T& value) {
    (*this)(name, value);
  }
  template <typename T>
  void Rare(const char* name, const T& value) {
    if (!(value == T())) (*this)(name, value);
  }
  json Take() { return std::move(object_); }

 private:
  template <typename T>
  static json ToJson(const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      return value;
    } else {
      Writer writer;
      Fields(writer, value);
      return writer.Take();
    }
  }
  template <typename T>
  static json ToJson(const std::vector<T>& values) {
    json list = json::array();
    for (const T& value : values) list.push_back(ToJson(value));
    return list;
  }

  json object_ = json::object();
};

// Numbers must be whole and fit where they go, as written: -1 is no epoch, and 1.5 no partition.
template <typename T>
bool ReadNumber(const json& from, T* value) {
  if constexpr (std::is_same_v<T, bool>) {
    if (!from.is_boolean()) return false;
    *value = from.get<bool>();
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!from.is_number()) return false;
    *value = from.get<T>();
  } else if (from.is_number_unsigned()) {
    const uint64_t number = from.get<uint64_t>();
    if (!std::in_range<T>(number)) return false;
    *value = static_cast<T>(number);
  } else {
    if (!from.is_number_integer() || !std::in_range<T>(from.get<int64_t>())) return false;
    *value = static_cast<T>(from.get<int64_t>());
  }
  return true;
}

class Reader {
 public:
  explicit Reader(const json& object) : object_(object), ok_(object.is_object()) {}

  template <typename T>
  void operator()(const char* name, T& value) {
    if (!ok_) return;
    const auto it = object_.find(name);
    if (it == object_.end()) {
      missing_ = name;
      ok_ = false;
    } else if (!FromJson(*it, &value)) {
      missing_ = name;
      ok_ = false;
    }
  }
  template <typename T>
  void Later(const char* name, T& value) {
    if (ok_ && object_.contains(name)) (*this)(name, value);
  }
  template <typename T>
  void Rare(const char* name, T& value) {
    Later(name, value);
  }
  bool ok() const { return ok_; }
  const std::string& wrong_field() const { return missing_; }

 private:
  template <typename T>
  static bool FromJson(const json& from, T* value) {
    if constexpr (std::is_arithmetic_v<T>) {
      return ReadNumber(from, value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!from.is_string()) return false;
      *value = from.get<std::string>();
      return true;
    } else {
      Reader reader(from);
      Fields(reader, *value);
      return reader.ok();
    }
  }
  template <typename T>
  static bool FromJson(const json& from, std::vector<T>* values) {
    if (!from.is_array()) return false;
    for (const json& entry : from) {
      if (!FromJson(entry, &values->emplace_back())) return false;
    }
    return true;
  }

  const json& object_;
  bool ok_;
  std::string missing_;
};

template <typename D>
std::string EncodeDocument(const D& document) {
  Writer writer;
  Fields(writer, document);
  // A host name may be no UTF-8: better a replaced letter than no lease.
  return JsonText(writer.Take());
}

template <typename D>
absl::StatusOr<D> DecodeDocument(std::string_view text, std::string_view what) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError(StrCat("not a ", what, ": no JSON object"));
  D document;
  Reader reader(object);
  Fields(reader, document);
  if (!reader.ok()) {
    return absl::InvalidArgumentError(
        StrCat("not a ", what, ": `", reader.wrong_field(), "` is missing or of another kind"));
  }
  return document;
}

// D is one of the documents, const when it is written.
template <typename D, typename Wanted>
concept Is = std::is_same_v<std::remove_const_t<D>, Wanted>;

template <typename C, typename D>
void Fields(C& c, D& d) {
  if constexpr (Is<D, InputFile>) {
    c("name", d.name), c("bytes", d.bytes), c("digest", d.digest);
  } else if constexpr (Is<D, CodeFile>) {
    c("name", d.name), c("bytes", d.bytes), c("sha256", d.sha256);
  } else if constexpr (Is<D, JobRecord>) {
    c("name", d.name), c("uid", d.uid), c("spec_text", d.spec_text), c("inputs", d.inputs);
    c("partitions", d.partitions), c("created_ms", d.created_ms);
    c("later_partitions", d.later_partitions), c.Later("step_version", d.step_version);
    c.Rare("standbys", d.standbys), c.Rare("files", d.files);
  } else if constexpr (Is<D, CodeVersion>) {
    c("version", d.version), c("spec_text", d.spec_text), c("step_version", d.step_version);
    c("created_ms", d.created_ms), c.Rare("files", d.files);
  } else if constexpr (Is<D, StageCount>) {
    c("stage", d.stage), c("records", d.records);
  } else if constexpr (Is<D, PartitionReport>) {
    c("job", d.job), c("uid", d.uid), c("segment", d.segment), c("partition", d.partition);
    c("epoch", d.epoch), c("offset", d.offset);
    c("committed_offset", d.committed_offset), c("committed_at_ms", d.committed_at_ms);
    c.Later("checkpoint_offset", d.checkpoint_offset), c.Rare("stored_for_move", d.stored_for_move);
    c("records_in", d.records_in), c("records_out", d.records_out);
    c("dead_letters", d.dead_letters), c("retries", d.retries);
    c("skipped", d.skipped), c("inspected", d.inspected);
    c("state_keys", d.state_keys), c("state_bytes", d.state_bytes);
    c("state", d.state), c("reason", d.reason), c.Later("code_version", d.code_version);
    c.Rare("busy_us", d.busy_us);
  } else if constexpr (Is<D, CopyReport>) {
    c("uid", d.uid), c("segment", d.segment), c("partition", d.partition), c("offset", d.offset);
  } else if constexpr (Is<D, WorkerLease>) {
    c("name", d.name), c("incarnation", d.incarnation), c("pid", d.pid), c("host", d.host);
    c("lanes", d.lanes), c("state", d.state), c("beat", d.beat), c("cpu", d.cpu);
    c("memory_bytes", d.memory_bytes), c("version", d.version), c("http", d.http);
    c("partitions", d.partitions), c.Later("data_id", d.data_id), c.Later("zone", d.zone);
    c.Later("process", d.process), c.Later("step_version", d.step_version);
    c.Later("checkpoints", d.checkpoints), c.Rare("copies", d.copies);
  } else if constexpr (Is<D, CoordinatorLease>) {
    c("id", d.id), c("term", d.term), c("beat", d.beat), c("host", d.host), c("pid", d.pid),
        c("http", d.http);
  } else if constexpr (Is<D, Term>) {
    c("term", d.term), c("leader", d.leader), c("lease_ttl_ms", d.lease_ttl_ms);
  } else if constexpr (Is<D, JobAssignment>) {
    c("job", d.job), c("uid", d.uid), c("paused", d.paused), c("owners", d.owners);
    c.Rare("standbys", d.standbys), c.Rare("next_owners", d.next_owners);
  } else if constexpr (Is<D, Assignment>) {
    c("term", d.term), c("number", d.number), c("jobs", d.jobs);
    c.Later("draining", d.draining);
  } else if constexpr (Is<D, Command>) {
    c("verb", d.verb), c("id", d.id), c.Later("process", d.process);
  } else if constexpr (Is<D, FinalStatus>) {
    c("state", d.state), c("reason", d.reason), c("ended_ms", d.ended_ms);
    c("records_in", d.records_in), c("records_out", d.records_out), c("dead_letters", d.dead_letters);
    c("term", d.term), c("skipped", d.skipped), c("inspected", d.inspected);
    c.Later("partitions", d.partitions);
  } else if constexpr (Is<D, InputPoint>) {
    c("position", d.position), c("digest", d.digest);
  } else if constexpr (Is<D, InputRead>) {
    c("points", d.points);
  } else if constexpr (Is<D, SourceFed>) {
    c("stream", d.stream), c("position", d.position), c("records", d.records), c("rejected", d.rejected);
    c("lost", d.lost), c("epoch", d.epoch), c("trouble", d.trouble);
  } else if constexpr (Is<D, InputAdded>) {
    c("inputs", d.inputs), c("added_ms", d.added_ms);
  } else if constexpr (Is<D, SinkPartition>) {
    c("created_ns", d.created_ns), c("sequence", d.sequence), c("epoch", d.epoch);
    c("offset", d.offset), c("index", d.index), c.Rare("ended", d.ended);
  } else if constexpr (Is<D, SinkPosition>) {
    c("records", d.records), c("partitions", d.partitions);
  } else if constexpr (Is<D, SinkFilePosition>) {
    c("uid", d.uid), c("id", d.id), c("job", d.job), c("part", d.part), c("length", d.length);
    c("position", d.position);
  } else if constexpr (Is<D, SinkStreamPosition>) {
    c("writer", d.writer), c("position", d.position);
  } else if constexpr (Is<D, SinkBatchPosition>) {
    c("writer", d.writer), c("notes", d.notes), c("position", d.position), c("sending", d.sending);
  } else if constexpr (Is<D, SinkPlace>) {
    c("id", d.id), c("host", d.host), c("path", d.path);
  } else if constexpr (Is<D, SinkReport>) {
    c("to", d.to), c("records", d.records), c("trouble", d.trouble);
  } else {
    static_assert(Is<D, InputFed>);
    c("records", d.records), c("rejected", d.rejected), c("epoch", d.epoch);
    c.Later("end", d.end);
  }
}

}  // namespace

size_t JobRecord::all_partitions() const {
  return IndexOf(SegmentId(static_cast<uint32_t>(segments())), PartitionId(0));
}

size_t JobRecord::IndexOf(SegmentId segment, PartitionId partition) const {
  size_t index = partition.value();
  for (uint32_t s = 0; s < segment.value(); ++s) index += partitions_of(SegmentId(s));
  return index;
}

void AddCounts(const std::vector<StageCount>& from, std::vector<StageCount>* to) {
  for (const StageCount& count : from) {
    const auto known = std::find_if(to->begin(), to->end(),
                                    [&](const StageCount& other) { return other.stage == count.stage; });
    if (known == to->end()) {
      to->push_back(count);
    } else {
      known->records += count.records;
    }
  }
}

std::string Encode(const JobRecord& document) { return EncodeDocument(document); }
std::string Encode(const CodeVersion& document) { return EncodeDocument(document); }
std::string Encode(const WorkerLease& document) { return EncodeDocument(document); }
std::string Encode(const CoordinatorLease& document) { return EncodeDocument(document); }
std::string Encode(const Term& document) { return EncodeDocument(document); }
std::string Encode(const Assignment& document) { return EncodeDocument(document); }
std::string Encode(const Command& document) { return EncodeDocument(document); }
std::string Encode(const FinalStatus& document) { return EncodeDocument(document); }
std::string Encode(const InputRead& document) { return EncodeDocument(document); }
std::string Encode(const SourceFed& document) { return EncodeDocument(document); }
std::string Encode(const InputFed& document) { return EncodeDocument(document); }
std::string Encode(const InputAdded& document) { return EncodeDocument(document); }
std::string Encode(const SinkFilePosition& document) { return EncodeDocument(document); }
std::string Encode(const SinkStreamPosition& document) { return EncodeDocument(document); }
std::string Encode(const SinkBatchPosition& document) { return EncodeDocument(document); }
std::string Encode(const SinkPlace& document) { return EncodeDocument(document); }
std::string Encode(const SinkReport& document) { return EncodeDocument(document); }

absl::StatusOr<JobRecord> DecodeJobRecord(std::string_view text) {
  return DecodeDocument<JobRecord>(text, "job record");
}
absl::StatusOr<CodeVersion> DecodeCodeVersion(std::string_view text) {
  return DecodeDocument<CodeVersion>(text, "version of a job's code");
}
absl::StatusOr<WorkerLease> DecodeWorkerLease(std::string_view text) {
  return DecodeDocument<WorkerLease>(text, "worker lease");
}
absl::StatusOr<CoordinatorLease> DecodeCoordinatorLease(std::string_view text) {
  return DecodeDocument<CoordinatorLease>(text, "coordinator lease");
}
absl::StatusOr<Term> DecodeTerm(std::string_view text) { return DecodeDocument<Term>(text, "term"); }
absl::StatusOr<Assignment> DecodeAssignment(std::string_view text) {
  return DecodeDocument<Assignment>(text, "assignment");
}
absl::StatusOr<Command> DecodeCommand(std::string_view text) {
  return DecodeDocument<Command>(text, "command");
}
absl::StatusOr<FinalStatus> DecodeFinalStatus(std::string_view text) {
  return DecodeDocument<FinalStatus>(text, "final status");
}
absl::StatusOr<InputRead> DecodeInputRead(std::string_view text) {
  return DecodeDocument<InputRead>(text, "record of input read");
}
absl::StatusOr<SourceFed> DecodeSourceFed(std::string_view text) {
  return DecodeDocument<SourceFed>(text, "record of a source");
}
absl::StatusOr<InputFed> DecodeInputFed(std::string_view text) {
  return DecodeDocument<InputFed>(text, "record of input fed");
}
absl::StatusOr<InputAdded> DecodeInputAdded(std::string_view text) {
  return DecodeDocument<InputAdded>(text, "record of added input");
}

absl::StatusOr<SinkFilePosition> DecodeSinkFilePosition(std::string_view text) {
  return DecodeDocument<SinkFilePosition>(text, "position of a sink's file");
}
absl::StatusOr<SinkStreamPosition> DecodeSinkStreamPosition(std::string_view text) {
  return DecodeDocument<SinkStreamPosition>(text, "position of a sink's stream");
}
absl::StatusOr<SinkBatchPosition> DecodeSinkBatchPosition(std::string_view text) {
  return DecodeDocument<SinkBatchPosition>(text, "position of a sink's batches");
}
absl::StatusOr<SinkPlace> DecodeSinkPlace(std::string_view text) {
  return DecodeDocument<SinkPlace>(text, "place of a sink's file");
}
absl::StatusOr<SinkReport> DecodeSinkReport(std::string_view text) {
  return DecodeDocument<SinkReport>(text, "record of a sink");
}

}  // namespace millrace
