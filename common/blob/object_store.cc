#include "common/blob/object_store.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "common/blob/object_info.h"
#include "common/bus/make_stream.h"
#include "common/bus/nats_wire.h"
#include "common/strings.h"

namespace millrace {
namespace {

using nlohmann::json;

constexpr int kObjectTries = 3;  // of a request that may pass
constexpr absl::Duration kObjectPause = absl::Milliseconds(200);

// A message of the stream, as its leader has it.
struct Stored {
  uint64_t sequence = 0;
  absl::Time time;
  std::string payload;
};

class ObjectStore final : public BlobStore {
 public:
  ObjectStore(const ObjectStoreOptions& options, std::unique_ptr<Bus> bus, Clock& clock)
      : bucket_(options.bucket),
        stream_(ObjectStream(bucket_)),
        bus_(std::move(bus)),
        clock_(clock),
        seed_(options.seed) {}

  // OK too when it is there, whoever made it.
  absl::Status MakeBucket(int replicas);

  absl::Status Put(const std::string& name, std::string_view bytes) override;
  absl::Status Get(const std::string& name, const Sink& sink) override;

  absl::StatusOr<BlobInfo> Head(const std::string& name) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    const absl::StatusOr<ObjectInfo> info = Find(name);
    if (!info.ok()) return info.status();
    return BlobInfo{name, info->size};
  }

  absl::StatusOr<std::vector<BlobInfo>> List(const std::string& prefix) override;
  absl::Status Delete(const std::string& name) override;
  absl::Status Tidy(absl::Duration age) override;
  std::string ToString() const override { return StrCat("objects:", bucket_); }

 private:
  absl::StatusOr<json> Call(const std::string& call, const json& request);
  absl::StatusOr<Stored> Read(const json& which);
  absl::StatusOr<uint64_t> Publish(const std::string& subject, std::string_view payload);
  absl::Status PublishInfo(const ObjectInfo& info);
  // NOT_FOUND also when it was deleted.
  absl::StatusOr<ObjectInfo> Find(const std::string& name);
  absl::StatusOr<std::vector<std::string>> Subjects(const std::string& filter);
  absl::Status Erase(const std::string& subject);
  absl::Status EraseOneByOne(const std::string& subject);

  const std::string bucket_;
  const std::string stream_;
  const std::unique_ptr<Bus> bus_;
  Clock& clock_;
  const uint64_t seed_;
  std::atomic<uint64_t> puts_{0};
};

bool MayPassLater(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::StatusOr<json> ObjectStore::Call(const std::string& call, const json& request) {
  for (int tries = 1;; ++tries) {
    const absl::StatusOr<std::string> reply =
        bus_->Request(StrCat("$JS.API.", call), request.dump(), kControlDeadline);
    absl::StatusOr<json> answer = reply.ok() ? ParseApiReply(*reply) : reply.status();
    if (answer.ok() || !MayPassLater(answer.status()) || tries == kObjectTries) return answer;
    clock_.Sleep(kObjectPause);
  }
}

absl::Status ObjectStore::MakeBucket(int replicas) {
  const json config = {{"name", stream_},
                       {"subjects", {StrCat("$O.", bucket_, ".C.>"), StrCat("$O.", bucket_, ".M.>")}},
                       {"retention", "limits"},
                       {"max_consumers", -1},
                       {"max_msgs", -1},
                       {"max_bytes", -1},
                       {"max_age", 0},
                       {"max_msg_size", -1},
                       {"max_msgs_per_subject", -1},
                       {"storage", "file"},
                       {"discard", "new"},
                       {"num_replicas", replicas},
                       {"allow_rollup_hdrs", true},
                       {"allow_direct", true}};
  const absl::Status made = MakeStream(config, [this](const std::string& call, const json& request) {
                              return Call(call, request);
                            }).status();
  if (made.ok() || !absl::IsAlreadyExists(made)) return made;
  const absl::StatusOr<json> there = Call(StrCat("STREAM.INFO.", stream_), json::object());
  if (!there.ok()) return there.status();
  if (there->value("/config/allow_rollup_hdrs"_json_pointer, false)) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat("stream ", stream_, " is there and no object store — ",
                                              "give --checkpoints another bucket, or delete the stream"));
}

absl::StatusOr<uint64_t> ObjectStore::Publish(const std::string& subject, std::string_view payload) {
  AppendRequest request;
  request.subject = subject;
  request.payload = payload;
  return bus_->AppendAndWait(request);
}

absl::Status ObjectStore::PublishInfo(const ObjectInfo& info) {
  const std::string subject = ObjectMetaSubject(bucket_, info.name);
  const std::string payload = EncodeObjectInfo(info);
  AppendRequest request;
  request.subject = subject;
  request.payload = payload;
  request.replaces_subject = true;
  return bus_->AppendAndWait(request).status();
}

absl::StatusOr<Stored> ObjectStore::Read(const json& which) {
  const absl::StatusOr<json> reply = Call(StrCat("STREAM.MSG.GET.", stream_), which);
  if (!reply.ok()) return reply.status();
  const json message = reply->value("message", json::object());
  Stored stored;
  stored.sequence = message.value("seq", uint64_t{0});
  stored.time = absl::FromUnixNanos(ParseServerTimeNs(message.value("time", std::string())));
  if (!absl::Base64Unescape(message.value("data", std::string()), &stored.payload)) {
    return absl::DataLossError(StrCat("message ", stored.sequence, " of ", stream_, " cannot be read"));
  }
  return stored;
}

absl::StatusOr<ObjectInfo> ObjectStore::Find(const std::string& name) {
  const absl::StatusOr<Stored> stored = Read({{"last_by_subj", ObjectMetaSubject(bucket_, name)}});
  if (absl::IsNotFound(stored.status())) return absl::NotFoundError(StrCat(name, " is not in ", ToString()));
  if (!stored.ok()) return stored.status();
  absl::StatusOr<ObjectInfo> info = DecodeObjectInfo(stored->payload);
  if (info.ok() && info->deleted) return absl::NotFoundError(StrCat(name, " was deleted from ", ToString()));
  return info;
}

// The description makes the object: chunks without one are nothing to a reader.
absl::Status ObjectStore::Put(const std::string& name, std::string_view bytes) {
  if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
  const absl::StatusOr<ObjectInfo> before = Find(name);
  if (!before.ok() && !absl::IsNotFound(before.status()) && !absl::IsDataLoss(before.status())) {
    return before.status();
  }
  ObjectInfo info;
  info.name = name;
  info.bucket = bucket_;
  info.nuid = absl::StrFormat("%016x%08x", seed_, ++puts_);
  info.size = bytes.size();
  info.digest = ObjectDigest(Sha256Of(bytes));
  const std::string subject = ObjectChunkSubject(bucket_, info.nuid);
  absl::Status status;
  for (; status.ok() && !bytes.empty(); ++info.chunks) {
    const std::string_view chunk = bytes.substr(0, kObjectChunkBytes);
    // Not tried again: after a lost answer the chunk would be there twice.
    status = Publish(subject, chunk).status();
    bytes.remove_prefix(chunk.size());
  }
  if (status.ok()) status = PublishInfo(info);
  if (!status.ok()) {
    Erase(subject).IgnoreError();  // else Tidy finds it
    return status;
  }
  return before.ok() ? Erase(ObjectChunkSubject(bucket_, before->nuid)) : absl::OkStatus();
}

absl::Status ObjectStore::Get(const std::string& name, const Sink& sink) {
  if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
  const absl::StatusOr<ObjectInfo> info = Find(name);
  if (!info.ok()) return info.status();
  const std::string subject = ObjectChunkSubject(bucket_, info->nuid);
  Sha256 sha;
  uint64_t sequence = 0;
  for (uint64_t chunk = 0; chunk < info->chunks; ++chunk) {
    const absl::StatusOr<Stored> stored = Read({{"seq", sequence + 1}, {"next_by_subj", subject}});
    if (absl::IsNotFound(stored.status())) {
      return absl::DataLossError(
          StrCat(name, " in ", ToString(), " has only ", chunk, " of its ", info->chunks, " chunks"));
    }
    if (!stored.ok()) return stored.status();
    sequence = stored->sequence;
    sha.Update(stored->payload);
    if (absl::Status status = sink(stored->payload); !status.ok()) return status;
  }
  if (info->digest.empty() || ObjectDigest(sha.Finish()) == info->digest) return absl::OkStatus();
  return absl::DataLossError(StrCat(name, " in ", ToString(), " does not match its digest"));
}

absl::StatusOr<std::vector<std::string>> ObjectStore::Subjects(const std::string& filter) {
  std::vector<std::string> subjects;
  while (true) {
    const absl::StatusOr<json> reply =
        Call(StrCat("STREAM.INFO.", stream_), {{"subjects_filter", filter}, {"offset", subjects.size()}});
    if (!reply.ok()) return reply.status();
    const json page = reply->value("/state/subjects"_json_pointer, json::object());
    for (const auto& [subject, messages] : page.items()) subjects.push_back(subject);
    if (page.empty() || subjects.size() >= reply->value("total", size_t{0})) return subjects;
  }
}

absl::StatusOr<std::vector<BlobInfo>> ObjectStore::List(const std::string& prefix) {
  const absl::StatusOr<std::vector<std::string>> subjects = Subjects(ObjectMetaSubject(bucket_, "") + ">");
  if (!subjects.ok()) return subjects.status();
  std::vector<BlobInfo> found;
  for (const std::string& subject : *subjects) {
    const std::optional<std::string> name = ObjectNameOf(bucket_, subject);
    if (!name.has_value() || !name->starts_with(prefix) || !CheckBlobName(*name).ok()) continue;
    const absl::StatusOr<ObjectInfo> info = Find(*name);
    if (absl::IsNotFound(info.status()) || absl::IsDataLoss(info.status())) continue;
    if (!info.ok()) return info.status();
    found.push_back({*name, info->size});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

// The object is marked as deleted before its chunks go, so that no reader finds it without them.
absl::Status ObjectStore::Delete(const std::string& name) {
  if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
  absl::StatusOr<ObjectInfo> info = Find(name);
  if (info.ok()) {
    info->deleted = true;
    const std::string chunks = ObjectChunkSubject(bucket_, info->nuid);
    if (absl::Status status = PublishInfo(*info); !status.ok()) return status;
    if (absl::Status status = Erase(chunks); !status.ok()) return status;
  } else if (!absl::IsNotFound(info.status()) && !absl::IsDataLoss(info.status())) {
    return info.status();
  }
  return Erase(ObjectMetaSubject(bucket_, name));
}

absl::Status ObjectStore::Erase(const std::string& subject) {
  const absl::StatusOr<StreamInfo> stream = bus_->GetStream(stream_);
  if (!stream.ok()) return stream.status();
  if (stream->config.replicas > 1) {
    const absl::StatusOr<ServerInfo> server = bus_->Server();
    if (!server.ok()) return server.status();
    if (!SubjectPurgeIsSafe(stream->config.replicas, server->version)) return EraseOneByOne(subject);
  }
  return Call(StrCat("STREAM.PURGE.", stream_), {{"filter", subject}}).status();
}

absl::Status ObjectStore::EraseOneByOne(const std::string& subject) {
  uint64_t sequence = 0;
  while (true) {
    const absl::StatusOr<Stored> stored = Read({{"seq", sequence + 1}, {"next_by_subj", subject}});
    if (absl::IsNotFound(stored.status())) return absl::OkStatus();
    if (!stored.ok()) return stored.status();
    sequence = stored->sequence;
    const absl::Status deleted =
        Call(StrCat("STREAM.MSG.DELETE.", stream_), {{"seq", sequence}, {"no_erase", true}}).status();
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  }
}

// Chunks that no description names. The chunks are listed first: a description that comes meanwhile is seen.
absl::Status ObjectStore::Tidy(absl::Duration age) {
  const absl::StatusOr<std::vector<std::string>> chunks = Subjects(ObjectChunkSubject(bucket_, ">"));
  if (!chunks.ok()) return chunks.status();
  const absl::StatusOr<std::vector<std::string>> metas = Subjects(ObjectMetaSubject(bucket_, "") + ">");
  if (!metas.ok()) return metas.status();
  std::set<std::string> named;
  for (const std::string& meta : *metas) {
    const absl::StatusOr<Stored> stored = Read({{"last_by_subj", meta}});
    if (absl::IsNotFound(stored.status())) continue;
    if (!stored.ok()) return stored.status();
    const absl::StatusOr<ObjectInfo> info = DecodeObjectInfo(stored->payload);
    if (!info.ok()) return info.status();  // whose chunks these are cannot be said
    if (!info->deleted) named.insert(ObjectChunkSubject(bucket_, info->nuid));
  }
  for (const std::string& subject : *chunks) {
    if (named.contains(subject)) continue;
    const absl::StatusOr<Stored> last = Read({{"last_by_subj", subject}});
    if (!last.ok() || clock_.Now() - last->time < age) continue;
    if (absl::Status status = Erase(subject); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenObjectStore(const ObjectStoreOptions& options,
                                                           std::unique_ptr<Bus> bus, Clock& clock) {
  auto store = std::make_unique<ObjectStore>(options, std::move(bus), clock);
  if (absl::Status status = store->MakeBucket(options.replicas); !status.ok()) return status;
  return store;
}

}  // namespace millrace
