#include "common/fault_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/strings.h"

namespace millrace {

void FaultPageDeleter::operator()(FaultPage* page) const { munmap(page, sizeof(FaultPage)); }

absl::StatusOr<FaultPagePtr> MapFaultPage(const std::string& path) {
  const auto cannot = [&] {
    return absl::FailedPreconditionError(
        StrCat("cannot share ", path, " — ", std::strerror(errno), " — try another folder"));
  };
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return cannot();
  // A file of zeros is a page that asks for nothing.
  void* memory = ftruncate(fd, sizeof(FaultPage)) == 0
                     ? mmap(nullptr, sizeof(FaultPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                     : MAP_FAILED;
  const int error = errno;
  close(fd);
  errno = error;
  if (memory == MAP_FAILED) return cannot();
  return FaultPagePtr(static_cast<FaultPage*>(memory));
}

#if MILLRACE_TEST_HOOKS
FaultPage* OwnFaultPage() {
  static FaultPage* const page = []() -> FaultPage* {
    const char* path = std::getenv("MILLRACE_FAULT_PAGE");
    if (path == nullptr) return nullptr;
    auto mapped = MapFaultPage(path);
    return mapped.ok() ? mapped->release() : nullptr;
  }();
  return page;
}
#endif

}  // namespace millrace
