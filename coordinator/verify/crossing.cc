#include "coordinator/verify/crossing.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace {
namespace {

uint64_t HashOf(const RecordView& record) {
  // A shape's number is its frame's own; whether the value is raw, packed or a row is the record's.
  const uint32_t form = std::min(record.shape, kFirstRowShape);
  uint64_t hash = absl::HashOf(record.offset.value(), record.index, ToAbsl(record.key), ToAbsl(record.value),
                               form, record.time_ms, ToAbsl(record.raw_headers));
  if (form != kFirstRowShape || record.fields == nullptr) return hash;
  for (const std::string_view field : *record.fields) hash = absl::HashOf(hash, ToAbsl(field));
  return hash;
}

std::string Text(const Mark& label) { return StrCat(label.offset, ".", label.index); }

}  // namespace

Crossing::Crossing(SegmentId from, uint32_t upstreams, uint32_t downstreams, Differences* differences)
    : from_(from),
      upstreams_(upstreams),
      downstreams_(downstreams),
      differences_(differences),
      paths_(size_t{upstreams} * downstreams) {}

void Crossing::BeginAt(PartitionId upstream, PartitionId downstream, const Mark& begin) {
  PathOf(upstream, downstream).begin = begin;
}

void Crossing::Find(PartitionId upstream, PartitionId downstream, const RecordView& record) {
  if (upstream.value() >= upstreams_) return;  // no writer of this job's
  Path& path = PathOf(upstream, downstream);
  if (Mark{record.offset.value(), record.index} < path.begin) return;
  path.found_last.digest = absl::HashOf(path.found_last.digest, HashOf(record));
  path.found_last.last = {record.offset.value(), record.index};
  if (++path.found_count % kRecordsADigest == 0) path.found.push_back(path.found_last);
}

void Crossing::Expect(PartitionId upstream, const RecordView& record) {
  const PartitionId downstream = PartitionOf(record.key, downstreams_);
  Path& path = PathOf(upstream, downstream);
  const Mark label = {record.offset.value(), record.index};
  if (label < path.begin) return;
  const Mark begins_at = path.expected.last;
  if (path.expected_count == path.found_count) {
    if (path.missing.size() < Differences::kMaxKept) path.missing.push_back(label);
    ++path.missing_count;
    return;
  }
  ++compared_;
  path.expected.digest = absl::HashOf(path.expected.digest, HashOf(record));
  ++path.expected_count;
  const bool is_last = path.expected_count == path.found_count;
  if (!is_last && path.expected_count % kRecordsADigest != 0) return;
  const Digest& found = is_last ? path.found_last : path.found[path.expected_count / kRecordsADigest - 1];
  path.expected.last = label;
  if (path.differs || (found.digest == path.expected.digest && found.last == label)) return;
  path.differs = true;
  Report(upstream, downstream,
         StrCat("differs behind output ", Text(begins_at), ": the log has come to ", Text(found.last),
                " where the replay has come to ", Text(label), ", or holds other values"));
}

void Crossing::Finish(PartitionId upstream, Offset settled) {
  for (uint32_t d = 0; d < downstreams_; ++d) {
    Path& path = PathOf(upstream, PartitionId(d));
    if (path.expected_count < path.found_count) {
      Report(upstream, PartitionId(d),
             StrCat("holds ", path.found_count - path.expected_count, " more than the replay gives, up to ",
                    Text(path.found_last.last)));
    }
    on_the_way_ += path.missing_count;
    for (const Mark& label : path.missing) {
      if (label.offset > settled.value()) break;
      Report(upstream, PartitionId(d), StrCat("lacks output ", Text(label)));
    }
  }
}

void Crossing::Report(PartitionId upstream, PartitionId downstream, const std::string& what) {
  differences_->Add(StrCat("what partition ", PartitionText(from_, upstream), " sent to ",
                           PartitionText(SegmentId(from_.value() + 1), downstream), " ", what));
}

}  // namespace millrace
