// Buckets and keys as ADR-8 lays them into a stream, so that `nats kv` reads them.
#include <utility>

#include "common/bus/nats_control.h"
#include "common/bus/nats_message.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kExpectedSubjectSequenceHeader[] = "Nats-Expected-Last-Subject-Sequence";
constexpr absl::Duration kBucketDuplicateWindow = absl::Minutes(2);

std::string StreamOf(const std::string& bucket) { return BucketStream(bucket); }
std::string SubjectOf(const std::string& bucket, const std::string& key) {
  return StrCat(BucketSubjectPrefix(bucket), key);
}

// Whether a request may have been carried out although no good answer came.
bool IsAmbiguous(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

absl::Status NatsControl::CreateBucket(const std::string& bucket, int replicas) {
  const absl::Status status = Make({{"name", StreamOf(bucket)},
                                    {"subjects", {SubjectOf(bucket, ">")}},
                                    {"retention", "limits"},
                                    {"max_consumers", -1},
                                    {"max_msgs", -1},
                                    {"max_bytes", -1},
                                    {"max_age", 0},
                                    {"max_msg_size", -1},
                                    {"max_msgs_per_subject", 1},
                                    {"storage", "file"},
                                    {"discard", "new"},
                                    {"num_replicas", replicas},
                                    {"duplicate_window", absl::ToInt64Nanoseconds(kBucketDuplicateWindow)},
                                    {"allow_rollup_hdrs", true},
                                    {"deny_delete", true},
                                    {"allow_direct", true}})
                                  .status();
  // Made by somebody else, perhaps with other settings: it is a bucket all the same.
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

absl::StatusOr<KeyValue> NatsControl::ReadKey(const std::string& bucket, const std::string& key) {
  absl::StatusOr<Message> message = GetLastMessage(StreamOf(bucket), SubjectOf(bucket, key));
  if (!message.ok()) return message.status();
  KeyValue value;
  value.key = key;
  value.value = std::move(message->payload);
  value.revision = message->sequence;
  value.deleted = message->tombstone;
  value.time_ns = message->time_ns;
  return value;
}

absl::StatusOr<KeyValue> NatsControl::GetKey(const std::string& bucket, const std::string& key) {
  absl::StatusOr<KeyValue> value = ReadKey(bucket, key);
  if (value.ok() && value->deleted) return absl::NotFoundError(StrCat("key ", key, " was deleted"));
  return value;
}

absl::StatusOr<uint64_t> NatsControl::MakeKey(const std::string& bucket, const std::string& key,
                                              std::string_view value, uint64_t expected_revision) {
  const std::string subject = SubjectOf(bucket, key);
  absl::StatusOr<NatsMsgPtr> msg = MakeMessage(subject, "", value);
  if (!msg.ok()) return msg.status();
  if (absl::Status status = SetHeader(msg->get(), kExpectedSubjectSequenceHeader, StrCat(expected_revision));
      !status.ok()) {
    return status;
  }
  return SendAndWait(msg->get());
}

absl::StatusOr<uint64_t> NatsControl::CreateKey(const std::string& bucket, const std::string& key,
                                                std::string_view value) {
  absl::StatusOr<uint64_t> made = MakeKey(bucket, key, value, 0);
  if (made.ok()) return made;
  const bool refused = absl::IsFailedPrecondition(made.status());
  if (!refused && !IsAmbiguous(made.status())) return made;

  // Refused: somebody has it, or only its tombstone is there. Ambiguous: it may be ours already.
  const absl::StatusOr<KeyValue> found = ReadKey(bucket, key);
  if (!found.ok()) return absl::IsNotFound(found.status()) ? made : found.status();
  const auto taken = [&key] { return absl::AlreadyExistsError(StrCat("key ", key, " is there already")); };
  if (!found->deleted) {
    if (!refused && found->value == value) return found->revision;
    return taken();
  }
  if (!refused) return made;
  made = MakeKey(bucket, key, value, found->revision);
  if (absl::IsFailedPrecondition(made.status())) return taken();
  return made;
}

absl::StatusOr<uint64_t> NatsControl::PutKey(const std::string& bucket, const std::string& key,
                                             std::string_view value) {
  absl::StatusOr<NatsMsgPtr> msg = MakeMessage(SubjectOf(bucket, key), "", value);
  if (!msg.ok()) return msg.status();
  return SendAndWait(msg->get());
}

absl::StatusOr<uint64_t> NatsControl::UpdateKey(const std::string& bucket, const std::string& key,
                                                std::string_view value, uint64_t revision) {
  const absl::StatusOr<uint64_t> made = MakeKey(bucket, key, value, revision);
  const bool refused = absl::IsFailedPrecondition(made.status());
  if (made.ok() || (!refused && !IsAmbiguous(made.status()))) return made;
  if (!refused) {
    const absl::StatusOr<KeyValue> found = ReadKey(bucket, key);
    if (!found.ok()) return found.status();
    if (!found->deleted && found->value == value) return found->revision;
    if (found->revision == revision) return made;
  }
  return absl::AbortedError(StrCat("somebody else has changed key ", key));
}

absl::Status NatsControl::DeleteKey(const std::string& bucket, const std::string& key) {
  absl::StatusOr<NatsMsgPtr> msg = MakeMessage(SubjectOf(bucket, key), "", "");
  if (!msg.ok()) return msg.status();
  if (absl::Status status = SetHeader(msg->get(), kKeyOperationHeader, "DEL"); !status.ok()) return status;
  return SendAndWait(msg->get()).status();
}

}  // namespace millrace
