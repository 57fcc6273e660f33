// Many HTTP requests at once on one thread, with the connections kept for the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_call.h"

namespace millrace {

class CurlTransfer;

// One thread, but for Wake.
class HttpTransfers {
 public:
  HttpTransfers();
  ~HttpTransfers();  // cuts off what runs
  HttpTransfers(const HttpTransfers&) = delete;
  HttpTransfers& operator=(const HttpTransfers&) = delete;

  using Id = uint64_t;
  struct Finished {
    Id id = 0;
    absl::StatusOr<HttpAnswer> answer;
  };

  // The body outlives the request. REQUIRES: no request of that id runs.
  absl::Status Start(Id id, const HttpRequestOut& request);
  // Nothing is heard of it any more. Of an id that does not run: nothing happens.
  void Cancel(Id id);
  size_t running() const { return running_.size(); }
  // What has finished; waits for at most so long until something does, or Wake. Errors as CurlTransfer::Finish's.
  std::vector<Finished> Poll(absl::Duration wait);
  // From any thread.
  void Wake();

 private:
  struct Running {
    Id id = 0;
    void* handle = nullptr;
    std::unique_ptr<CurlTransfer> transfer;
  };
  void GiveBack(void* handle);

  void* const multi_;
  absl::flat_hash_map<Id, std::unique_ptr<Running>> running_;
  std::vector<void*> idle_;  // CURL handles
};

}  // namespace millrace
