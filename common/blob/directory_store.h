// A BlobStore in a directory: an object is a file. For one machine, or a file system that all workers mount.
//
//     DIR/<name>       an object
//     DIR/.tmp/<...>   a Put under way, or one that was cut off
//
// A Put writes the file aside, syncs it, renames it and syncs the directory: POSIX makes the rename atomic.
#pragma once

#include <memory>
#include <string>

#include "common/blob/blob_store.h"
#include "common/clock.h"

namespace millrace {

// Makes the directory where it is missing. PERMISSION_DENIED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT (not a
// directory). `clock` tells how old the leavings are that Tidy removes.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenDirectoryStore(const std::string& dir, Clock& clock);

}  // namespace millrace
