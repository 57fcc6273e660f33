// A small HTTP server for health, metrics and the API: GET only, everything bounded. The only file pair that
// knows Boost.Beast.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace millrace {

struct HttpRequest {
  std::string path;                          // decoded, without the query
  std::map<std::string, std::string> query;  // decoded; of a name given twice the last
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

// Called on the server's threads, up to kHttpThreads at once. What it throws is logged and answered with 500.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

inline constexpr int kHttpThreads = 2;  // one slow answer does not keep /healthz waiting; two do
inline constexpr int kMaxHttpConnections = 64;
inline constexpr int kMaxHttpHeaderBytes = 8192;

class HttpServer {
 public:
  // `address`: "127.0.0.1:8222", "[::1]:8222", "localhost:0", ":8222" (all interfaces). Listens when it
  // returns. INVALID_ARGUMENT: no such address; FAILED_PRECONDITION: cannot listen there (says why).
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address, HttpHandler handler);
  virtual ~HttpServer() = default;  // closes everything and waits for handlers that run

  // Where it listens: with the port that was taken for 0.
  virtual std::string address() const = 0;
};

// "/a%20b?x=1&y" -> {"/a b", {{"x","1"},{"y",""}}}. Pure.
HttpRequest ParseHttpTarget(std::string_view target);

}  // namespace millrace
