#include "common/http/http_server.h"

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/log.h"

namespace millrace {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kIdleTimeout{10};  // for a request to come, and for an answer to be taken
constexpr int kMaxRequestsPerConnection = 1000;

// What a request can make a handler throw must not end the process.
HttpResponse Handled(const HttpHandler& handler, std::string_view target) {
  try {
    return handler(ParseHttpTarget(target));
  } catch (const std::exception& error) {
    LogError("a request could not be answered", {{"target", target}, {"why", error.what()}});
    return {500, "text/plain", "this request could not be answered; the log says why\n"};
  }
}

http::response<http::string_body> Answer(const HttpHandler& handler,
                                         const http::request<http::empty_body>& request) {
  HttpResponse made;
  if (request.method() == http::verb::get) {
    const auto target = request.target();
    made = Handled(handler, {target.data(), target.size()});
  } else {
    made = {405, "text/plain", "only GET is served\n"};
  }
  http::response<http::string_body> response(static_cast<http::status>(made.status), request.version());
  response.set(http::field::content_type, made.content_type);
  response.set(http::field::cache_control, "no-store");
  if (made.status == 405) response.set(http::field::allow, "GET");
  response.body() = std::move(made.body);
  response.keep_alive(request.keep_alive());
  return response;
}

// One connection. Owned by its pending operation; its strand keeps it to one thread at a time.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const HttpHandler& handler, std::atomic<int>& open)
      : stream_(std::move(socket)), handler_(handler), open_(open) {
    ++open_;
  }
  ~Session() { --open_; }

  void Read() {
    parser_.emplace();
    parser_->header_limit(kMaxHttpHeaderBytes);
    parser_->body_limit(0);
    stream_.expires_after(kIdleTimeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, size_t) { self->HandleRead(error); });
  }

 private:
  void HandleRead(error_code error) {
    if (error) return Close();
    response_ = Answer(handler_, parser_->get());
    if (++requests_ >= kMaxRequestsPerConnection) response_.keep_alive(false);
    response_.prepare_payload();
    stream_.expires_after(kIdleTimeout);
    http::async_write(stream_, response_, [self = shared_from_this()](error_code failed, size_t) {
      self->HandleWritten(failed);
    });
  }

  void HandleWritten(error_code error) {
    if (error || response_.need_eof()) return Close();
    Read();
  }

  void Close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  }

  beast::tcp_stream stream_;
  const HttpHandler& handler_;
  std::atomic<int>& open_;
  beast::flat_buffer buffer_{size_t{2} * kMaxHttpHeaderBytes};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
  int requests_ = 0;
};

class BeastServer : public HttpServer {
 public:
  explicit BeastServer(HttpHandler handler) : handler_(std::move(handler)), acceptor_(io_) {}

  ~BeastServer() override {
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  error_code Listen(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kMaxHttpConnections, error);
    return error;
  }

  void Run() {
    Accept();
    for (int i = 0; i < kHttpThreads; ++i) {
      threads_.emplace_back([this] { io_.run(); });
    }
  }

  std::string address() const override {
    error_code ignored;
    const tcp::endpoint local = acceptor_.local_endpoint(ignored);
    const std::string host = local.address().to_string();
    return local.address().is_v6() ? absl::StrCat("[", host, "]:", local.port())
                                   : absl::StrCat(host, ":", local.port());
  }

 private:
  void Accept() {
    acceptor_.async_accept(asio::make_strand(io_), [this](error_code error, tcp::socket socket) {
      // Beyond the limit a connection is closed at once, which its client sees; it is not left to wait.
      if (!error && open_ < kMaxHttpConnections) {
        std::make_shared<Session>(std::move(socket), handler_, open_)->Read();
      }
      if (acceptor_.is_open()) Accept();
    });
  }

  const HttpHandler handler_;
  std::atomic<int> open_{0};
  asio::io_context io_{kHttpThreads};  // holds the sessions: ends before what they refer to
  tcp::acceptor acceptor_;
  std::vector<std::thread> threads_;
};

absl::StatusOr<tcp::endpoint> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  if (host.empty()) host = "0.0.0.0";
  error_code error;
  const auto ip = asio::ip::make_address(host, error);
  if (colon == std::string::npos || error || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--http: \"", address, "\" is no address to listen on — expected IP:PORT — try 127.0.0.1:8222"));
  }
  return tcp::endpoint(ip, static_cast<uint16_t>(port));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              HttpHandler handler) {
  const auto endpoint = ParseAddress(address);
  if (!endpoint.ok()) return endpoint.status();
  auto server = std::make_unique<BeastServer>(std::move(handler));
  if (const error_code error = server->Listen(*endpoint)) {
    return absl::FailedPreconditionError(absl::StrCat("cannot serve HTTP on ", address, " — ",
                                                      error.message(),
                                                      " — try another --http, port 0 takes a free one"));
  }
  server->Run();
  return server;
}

}  // namespace millrace
