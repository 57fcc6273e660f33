// The file system that a test build gives to RocksDB: the machine's own, which refuses to write while the
// process's fault page says so (common/fault_page.h).
#pragma once

#include "common/build_config.h"

#if MILLRACE_TEST_HOOKS
namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace millrace {
// Lives as long as the process; null when it has no fault page.
rocksdb::Env* FaultyDisk();
}  // namespace millrace
#endif
