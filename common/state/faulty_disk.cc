#include "common/state/faulty_disk.h"

#if MILLRACE_TEST_HOOKS
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <memory>
#include <utility>

#include "common/fault_page.h"

namespace millrace {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

enum class DiskCall { kWrite, kSync };

// A full disk takes no byte more, and syncs what it has.
IOStatus Refusal(FaultPage& page, DiskCall call) {
  const DiskFault fault = page.disk.load(std::memory_order_relaxed);
  if (fault == DiskFault::kNone || (fault == DiskFault::kFull && call == DiskCall::kSync))
    return IOStatus::OK();
  page.refused_writes.fetch_add(1, std::memory_order_relaxed);
  if (fault == DiskFault::kFull) return IOStatus::NoSpace("No space left on device", "by the fault page");
  return IOStatus::IOError("Input/output error", "by the fault page");
}

class FaultyFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, FaultPage& page)
      : FSWritableFileOwnerWrapper(std::move(file)), page_(page) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    const IOStatus refusal = Refusal(page_, DiskCall::kWrite);
    return refusal.ok() ? target()->Append(data, options, debug) : refusal;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification, IODebugContext* debug) override {
    const IOStatus refusal = Refusal(page_, DiskCall::kWrite);
    return refusal.ok() ? target()->Append(data, options, verification, debug) : refusal;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    const IOStatus refusal = Refusal(page_, DiskCall::kSync);
    return refusal.ok() ? target()->Sync(options, debug) : refusal;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    const IOStatus refusal = Refusal(page_, DiskCall::kSync);
    return refusal.ok() ? target()->Fsync(options, debug) : refusal;
  }

 private:
  FaultPage& page_;
};

class FaultyFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyFileSystem(FaultPage& page)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), page_(page) {}
  const char* Name() const override { return "MillraceFaultyFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    return Wrapped(target()->NewWritableFile(name, options, file, debug), file);
  }
  IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                              IODebugContext* debug) override {
    return Wrapped(target()->ReopenWritableFile(name, options, file, debug), file);
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    return Wrapped(target()->ReuseWritableFile(name, old_name, options, file, debug), file);
  }

 private:
  IOStatus Wrapped(IOStatus made, std::unique_ptr<rocksdb::FSWritableFile>* file) {
    if (made.ok()) *file = std::make_unique<FaultyFile>(std::move(*file), page_);
    return made;
  }

  FaultPage& page_;
};

}  // namespace

rocksdb::Env* FaultyDisk() {
  static rocksdb::Env* const env = []() -> rocksdb::Env* {
    FaultPage* const page = OwnFaultPage();
    if (page == nullptr) return nullptr;
    return rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(*page)).release();
  }();
  return env;
}

}  // namespace millrace
#endif
