#include "coordinator/chaos/proxy.h"

#include <array>
#include <boost/asio.hpp>
#include <future>
#include <map>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "common/strings.h"
#include "coordinator/chaos/held_pieces.h"

namespace millrace::chaos {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kPieceBytes = 64 << 10;

// One direction of one connection.
struct Pipe {
  Pipe(tcp::socket& from_socket, tcp::socket& to_socket, Direction way, asio::io_context& context)
      : from(from_socket), to(to_socket), direction(way), timer(context), buffer(kPieceBytes) {}

  tcp::socket& from;
  tcp::socket& to;
  const Direction direction;
  asio::steady_timer timer;
  std::vector<char> buffer;
  HeldPieces held;
  bool is_held = false;  // since the needle of HoldFrom
  bool reading = false, writing = false;
};

// Kept alive by its pending operations.
struct Connection {
  Connection(tcp::socket accepted, asio::io_context& context)
      : client(std::move(accepted)),
        server(context),
        up(client, server, Direction::kToServer, context),
        down(server, client, Direction::kToClient, context) {}

  tcp::socket client, server;
  Pipe up, down;
  bool open = true;
};

}  // namespace

// Everything but the ports belongs to the loop's thread; calls are posted to it and waited for.
class Proxy::Loop {
 public:
  Loop(tcp::acceptor acceptor_in, std::unique_ptr<asio::io_context> context,
       std::vector<uint16_t> server_ports)
      : context_(std::move(context)),
        acceptor_(std::move(acceptor_in)),
        server_ports_(std::move(server_ports)),
        port_(acceptor_.local_endpoint().port()) {
    Accept();
    thread_ = std::thread([this] { context_->run(); });
  }

  ~Loop() {
    Do([this] {
      error_code ignored;
      acceptor_.close(ignored);
      CloseAll();
    });
    context_->stop();
    thread_.join();
  }

  uint16_t port() const { return port_; }

  template <typename F>
  void Do(F action) {
    asio::post(*context_, std::packaged_task<void()>(std::move(action))).wait();
  }

  void Hold(Direction direction) { holding_[Index(direction)] = true; }
  void HoldFrom(const std::string& needle) { hold_from_ = needle; }
  void Delay(Direction direction, absl::Duration delay) {
    delay_[Index(direction)] = absl::ToChronoNanoseconds(delay);
  }
  void Lose(double probability, uint64_t seed) {
    loss_ = probability;
    engine_.seed(seed);
  }
  void Count(Direction direction, const std::string& needle) { counted_[needle] = {direction, 0}; }
  int64_t Counted(const std::string& needle) { return counted_[needle].second; }
  int connections() const { return static_cast<int>(connections_.size()); }
  int64_t waited_bytes() const { return waited_bytes_; }
  int64_t lost_pieces() const { return lost_pieces_; }

  void Release(double share) {
    if (share >= 1) {
      holding_ = {};
      hold_from_.clear();
    }
    for (const auto& connection : connections_) {
      for (Pipe* pipe : {&connection->up, &connection->down}) LetGo(connection, *pipe, share);
    }
  }

  int Held(const std::string& needle) {
    int64_t count = 0;
    for (const auto& connection : connections_) {
      for (const Pipe* pipe : {&connection->up, &connection->down}) {
        count += pipe->held.Count(needle);
      }
    }
    return static_cast<int>(count);
  }

  int CloseAll() {
    const auto connections = connections_;
    for (const auto& connection : connections) Close(connection);
    return static_cast<int>(connections.size());
  }

 private:
  using Link = std::shared_ptr<Connection>;
  static size_t Index(Direction direction) { return direction == Direction::kToServer ? 0 : 1; }

  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (!error) Connect(std::make_shared<Connection>(std::move(socket), *context_), 0);
      Accept();
    });
  }

  void Connect(const Link& link, size_t attempt) {
    if (attempt == server_ports_.size()) return;  // the client's end closes with the link
    const tcp::endpoint server(asio::ip::address_v4::loopback(), server_ports_[attempt]);
    link->server.async_connect(server, [this, link, attempt](error_code error) {
      if (error) {
        link->server.close(error);
        return Connect(link, attempt + 1);
      }
      connections_.push_back(link);
      for (tcp::socket* socket : {&link->client, &link->server}) {
        error_code ignored;
        socket->set_option(tcp::no_delay(true), ignored);
      }
      Read(link, link->up);
      Read(link, link->down);
    });
  }

  void Read(const Link& link, Pipe& pipe) {
    if (pipe.reading || !link->open || pipe.held.bytes() >= kMaxHeldBytes) return;
    pipe.reading = true;
    pipe.from.async_read_some(asio::buffer(pipe.buffer), [this, link, &pipe](error_code error, size_t size) {
      pipe.reading = false;
      if (error) return Close(link);
      Take(pipe, std::string(pipe.buffer.data(), size));
      Write(link, pipe);
      Read(link, pipe);
    });
  }

  void Take(Pipe& pipe, std::string bytes) {
    for (auto& [needle, count] : counted_) {
      if (count.first == pipe.direction) count.second += CountOf(bytes, needle);
    }
    if (pipe.direction == Direction::kToServer && !hold_from_.empty() &&
        bytes.find(hold_from_) != std::string::npos) {
      pipe.is_held = true;
    }
    const LinkTime now = std::chrono::steady_clock::now();
    LinkTime due = now + delay_[Index(pipe.direction)];
    if (loss_ > 0 && static_cast<double>(engine_() % 1'000'000) < loss_ * 1e6) {
      due += absl::ToChronoNanoseconds(kRepeatAfter);
      ++lost_pieces_;
    }
    if (IsHeld(pipe) || !pipe.held.empty() || due > now) waited_bytes_ += static_cast<int64_t>(bytes.size());
    pipe.held.Add(std::move(bytes), due);
  }

  bool IsHeld(const Pipe& pipe) const { return pipe.is_held || holding_[Index(pipe.direction)]; }

  void Write(const Link& link, Pipe& pipe) {
    if (pipe.writing || !link->open || pipe.held.empty() || IsHeld(pipe)) return;
    pipe.writing = true;
    if (pipe.held.next_due() > std::chrono::steady_clock::now()) {
      pipe.timer.expires_at(pipe.held.next_due());
      pipe.timer.async_wait([this, link, &pipe](error_code) {
        pipe.writing = false;
        Write(link, pipe);
      });
      return;
    }
    Send(link, pipe, std::make_shared<std::string>(pipe.held.Take()));
  }

  // REQUIRES: pipe.writing, set by the caller.
  void Send(const Link& link, Pipe& pipe, const std::shared_ptr<std::string>& bytes) {
    const auto buffer = asio::buffer(*bytes);
    asio::async_write(pipe.to, buffer, [this, link, &pipe, bytes](error_code error, size_t) {
      pipe.writing = false;
      if (error) return Close(link);
      Write(link, pipe);
      Read(link, pipe);
    });
  }

  void LetGo(const Link& link, Pipe& pipe, double share) {
    if (share >= 1) {
      pipe.is_held = false;
      return Write(link, pipe);
    }
    if (pipe.writing || pipe.held.empty()) return;
    const auto part =
        std::make_shared<std::string>(pipe.held.TakeShare(share, std::chrono::steady_clock::now()));
    if (part->empty()) return;
    pipe.writing = true;
    Send(link, pipe, part);
  }

  void Close(const Link& link) {
    if (!link->open) return;
    link->open = false;
    for (tcp::socket* socket : {&link->client, &link->server}) {
      error_code ignored;
      socket->set_option(asio::socket_base::linger(true, 0), ignored);  // a reset, not an orderly end
      socket->close(ignored);
    }
    link->up.timer.cancel();
    link->down.timer.cancel();
    std::erase(connections_, link);
  }

  const std::unique_ptr<asio::io_context> context_;
  tcp::acceptor acceptor_;
  const std::vector<uint16_t> server_ports_;
  const uint16_t port_;
  std::vector<Link> connections_;
  std::array<bool, 2> holding_{};
  std::array<std::chrono::nanoseconds, 2> delay_{};
  std::string hold_from_;
  double loss_ = 0;
  std::mt19937_64 engine_;
  std::map<std::string, std::pair<Direction, int64_t>> counted_;
  int64_t waited_bytes_ = 0, lost_pieces_ = 0;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<Proxy>> Proxy::Start(std::vector<uint16_t> server_ports) {
  auto context = std::make_unique<asio::io_context>(1);
  tcp::acceptor acceptor(*context);
  error_code error;
  acceptor.open(tcp::v4(), error);
  if (!error) acceptor.bind({asio::ip::address_v4::loopback(), 0}, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return absl::FailedPreconditionError(StrCat("cannot listen — ", error.message()));
  return std::unique_ptr<Proxy>(
      new Proxy(std::make_unique<Loop>(std::move(acceptor), std::move(context), std::move(server_ports))));
}

Proxy::Proxy(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Proxy::~Proxy() = default;

uint16_t Proxy::port() const { return loop_->port(); }
void Proxy::Hold(Direction direction) {
  loop_->Do([&] { loop_->Hold(direction); });
}
void Proxy::HoldFrom(const std::string& needle) {
  loop_->Do([&] { loop_->HoldFrom(needle); });
}
void Proxy::Release(double share) {
  loop_->Do([&] { loop_->Release(share); });
}
void Proxy::Delay(Direction direction, absl::Duration delay) {
  loop_->Do([&] { loop_->Delay(direction, delay); });
}
void Proxy::Lose(double probability, uint64_t seed) {
  loop_->Do([&] { loop_->Lose(probability, seed); });
}
int Proxy::Reset() {
  int closed = 0;
  loop_->Do([&] { closed = loop_->CloseAll(); });
  return closed;
}
int Proxy::Connections() {
  int connections = 0;
  loop_->Do([&] { connections = loop_->connections(); });
  return connections;
}
int Proxy::Held(const std::string& needle) {
  int held = 0;
  loop_->Do([&] { held = loop_->Held(needle); });
  return held;
}
void Proxy::Count(Direction direction, const std::string& needle) {
  loop_->Do([&] { loop_->Count(direction, needle); });
}
int64_t Proxy::Counted(const std::string& needle) {
  int64_t counted = 0;
  loop_->Do([&] { counted = loop_->Counted(needle); });
  return counted;
}
int64_t Proxy::WaitedBytes() {
  int64_t bytes = 0;
  loop_->Do([&] { bytes = loop_->waited_bytes(); });
  return bytes;
}
int64_t Proxy::LostPieces() {
  int64_t pieces = 0;
  loop_->Do([&] { pieces = loop_->lost_pieces(); });
  return pieces;
}

}  // namespace millrace::chaos
