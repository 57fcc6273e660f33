// A BlobStore in a JetStream object store, in its documented layout (ADR-20): the bucket is the stream
// OBJ_<bucket>; an object is messages of 128 KiB on $O.<bucket>.C.<nuid>, and then its description, with a
// digest, on $O.<bucket>.M.<name>, which replaces the one before. Every NATS client, and `nats object`, reads
// and writes the same objects.
//
// All of it goes through the stream's leader: no replica that lags is asked. A deleted object leaves nothing
// behind, not even the deletion mark that other clients leave.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/bus/bus.h"
#include "common/clock.h"

namespace millrace {

struct ObjectStoreOptions {
  std::string bucket;
  int replicas = 1;   // of the bucket, where it is made here
  uint64_t seed = 0;  // for the chunks' ids: another one for each store that is opened
};

// Makes the bucket where it is missing. Takes the bus over; uses its control plane alone.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenObjectStore(const ObjectStoreOptions& options,
                                                           std::unique_ptr<Bus> bus, Clock& clock);

}  // namespace millrace
