#include "common/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "common/frame/message_header.h"
#include "common/strings.h"

namespace millrace {

std::string JobKey(std::string_view job) { return StrCat(kJobPrefix, job); }
std::string CodesPrefix(std::string_view uid) { return StrCat(kCodePrefix, uid, "."); }
std::string CodeKey(std::string_view uid, uint64_t version) { return StrCat(CodesPrefix(uid), version); }
std::string WorkerKey(std::string_view name) { return StrCat(kWorkerPrefix, name); }
std::string CoordinatorKey(std::string_view id) { return StrCat(kCoordinatorPrefix, id); }
std::string CommandsPrefix(std::string_view uid) { return StrCat(kCommandPrefix, uid, "."); }
std::string DrainsPrefix(std::string_view worker) { return StrCat(kDrainPrefix, worker, "."); }
std::string FinalKey(std::string_view uid) { return StrCat(kFinalPrefix, uid); }
std::string FedKey(std::string_view uid) { return StrCat(kFedPrefix, uid); }
std::string FedKey(std::string_view uid, std::string_view writer) {
  return writer == kIngestWriter ? FedKey(uid) : StrCat(kFedPrefix, uid, ".", writer);
}
std::string AddedPrefix(std::string_view uid) { return StrCat(kAddedPrefix, uid, "."); }
std::string AddedKey(std::string_view uid, uint32_t number) { return StrCat(AddedPrefix(uid), number); }
std::string SourceKey(std::string_view uid) { return StrCat(kSourcePrefix, uid); }
std::string SinkKey(std::string_view uid) { return StrCat(kSinkPrefix, uid); }
std::string SinkAtKey(std::string_view uid) { return StrCat(kSinkPrefix, uid, ".at"); }
std::string SinkDoneKey(std::string_view uid) { return StrCat(kSinkPrefix, uid, ".done"); }
std::string SinkPlaceKey(std::string_view uid) { return StrCat(uid, ".sink.place"); }
std::string BucketStream(std::string_view bucket) { return StrCat("KV_", bucket); }
std::string BucketSubjectPrefix(std::string_view bucket) { return StrCat("$KV.", bucket, "."); }

std::string InputStream(std::string_view job, SegmentId s, PartitionId p) {
  return StrCat("mr-", job, "-", s.value(), "-", p.value());
}
std::string InputSubject(std::string_view job, SegmentId s, PartitionId p) {
  return StrCat("mr.", job, ".", s.value(), ".", p.value());
}
std::string SourceStream(std::string_view job) { return StrCat("mr-", job, "-source"); }
std::string ResultStream(std::string_view job, PartitionId p) {
  return StrCat("mr-", job, "-out-", p.value());
}
std::string ResultSubject(std::string_view job, PartitionId p) {
  return StrCat("mr.", job, ".out.", p.value());
}
std::string VerdictStream(std::string_view job, SegmentId s, PartitionId p) {
  return StrCat(InputStream(job, s, p), "-v");
}
std::string VerdictSubject(std::string_view job, SegmentId s, PartitionId p) {
  return StrCat(InputSubject(job, s, p), ".v");
}
std::string DeadLetterStream(std::string_view job) { return StrCat("mr-", job, "-dead"); }
std::string DeadLetterSubject(std::string_view job, SegmentId s, PartitionId p) {
  return StrCat("mr.", job, ".dead.", s.value(), ".", p.value());
}
std::string DeadLetterSubjects(std::string_view job) { return StrCat("mr.", job, ".dead.>"); }
std::string TableStream(std::string_view job) { return StrCat("mr-", job, "-tables"); }
std::string TableDataSubject(std::string_view job) { return StrCat("mr.", job, ".tables.data"); }
std::string TableSubject(std::string_view job, std::string_view sha256) {
  return StrCat("mr.", job, ".tables.", sha256);
}
std::string TableSubjects(std::string_view job) { return StrCat("mr.", job, ".tables.>"); }
std::string DeadLetterId(SegmentId s, PartitionId p, Offset offset, uint32_t record) {
  return StrCat(s.value(), ".", p.value(), ".", offset.value(), ".", record);
}
std::string EpochKey(std::string_view uid, std::string_view writer, Epoch epoch) {
  return StrCat(uid, ".", writer, ".", epoch.value());
}
std::string InputReadKey(std::string_view uid, std::string_view writer) {
  return StrCat(uid, ".", writer, ".read");
}
std::string StreamDescription(std::string_view uid) { return StrCat("millrace ", uid); }
std::string WorkerSubject(std::string_view incarnation) { return StrCat("mr.rpc.", incarnation); }

std::string PartitionText(SegmentId s, PartitionId p) {
  return s == kFirstSegment ? StrCat(p.value()) : StrCat(s.value(), "-", p.value());
}

bool IsValidName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}

}  // namespace millrace
