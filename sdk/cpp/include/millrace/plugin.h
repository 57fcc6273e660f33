// A Millrace stage in C++: derive from Keyed or FlatMap, and name the class in MILLRACE_PLUGIN.
//
//     #include <millrace/plugin.h>
//
//     class Total final : public millrace::Keyed {
//      public:
//       void Handle(const millrace::Record& record, millrace::KeyedOut& out) override {
//         const int64_t total = record.state()["total"].IntOr(0) + record.value()["amount"].IntOr(0);
//         out.SetState(millrace::Map("total", total));
//         out.Emit(millrace::Map("total", total));
//       }
//     };
//     MILLRACE_PLUGIN(Total)
//
// One plugin a shared library. C++17, header only; nothing of the host is linked in, so compiler and standard library are
// the author's choice.
//
// Determinism. What a handler does may depend on the record and the key's state alone: no clock, no randomness, no
// environment, no order of addresses, and nothing that is remembered in members or statics from one record to the next.
// The same record is handled again after a crash and in `verify`, by another instance, and must come to the same. What a
// constructor makes (a table, a compiled expression) may be kept.
//
// Threads. An instance is used by one thread at a time, and several instances at once. What they share (statics) must be
// safe for that. A handler starts no threads.
//
// Errors. An exception is the record's error, with what() as its text: the record has no effect, and `on_error` decides.
// A handler that runs longer than the stage's `timeout`, or crashes, ends the worker's process, which is started again;
// the attempt is on record.
#ifndef MILLRACE_PLUGIN_H_
#define MILLRACE_PLUGIN_H_

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "millrace/packed.h"
#include "millrace/plugin_abi.h"
#include "millrace/value.h"

namespace millrace {

// One record, or a timer that came due. All that it gives holds until the handler returns.
class Record {
 public:
  explicit Record(const millrace_call& call) : call_(call) {}

  std::string_view key() const { return {call_.key.data, call_.key.size}; }
  // nil in OnTimer.
  Value value() const {
    if (call_.is_timer != 0) return Value();
    const std::string_view bytes(call_.value.data, call_.value.size);
    if (call_.shape == MILLRACE_ROW) return Value::OfRow(bytes, call_.fields, call_.field_count);
    return call_.shape == MILLRACE_RAW ? Value::OfRaw(bytes) : Value::OfPacked(bytes);
  }
  // What SetState was given last for this key; nil: nothing. Of Keyed alone.
  Value state() const {
    return call_.has_state == 0 ? Value() : Value::OfPacked({call_.state.data, call_.state.size});
  }
  // Event time in milliseconds since 1970; in OnTimer when the timer was due.
  int64_t time_ms() const { return call_.time_ms; }
  // Empty: there is none of that name.
  std::string_view header(std::string_view name) const {
    for (size_t i = 0; i < call_.header_count; ++i) {
      const millrace_header& header = call_.headers[i];
      if (std::string_view(header.name.data, header.name.size) == name)
        return {header.value.data, header.value.size};
    }
    return {};
  }
  // "segment.partition.offset.position": the same whenever this record is run again, and no other record's.
  std::string label() const {
    return std::to_string(call_.segment) + "." + std::to_string(call_.partition) + "." +
           std::to_string(call_.offset) + "." + std::to_string(call_.position);
  }
  // The input has ended, and timers that are left run now.
  bool ending() const { return call_.ending != 0; }

 private:
  const millrace_call& call_;
};

struct Header {
  std::string_view name;
  std::string_view value;
};

// What a handler does. Nothing of it has an effect unless the handler returns.
class Out {
 public:
  explicit Out(const millrace_host& host) : host_(host) {}
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;

  // Puts out a record under the key of the one that it comes of, with its headers and time. At most 100,000 a call.
  void Emit(const Packed& value, std::initializer_list<Header> headers = {}) {
    Send(value.bytes(), nullptr, headers);
  }
  void EmitAs(std::string_view key, const Packed& value, std::initializer_list<Header> headers = {}) {
    Send(value.bytes(), &key, headers);
  }

 protected:
  const millrace_host& host_;

 private:
  void Send(std::string_view value, const std::string_view* key, std::initializer_list<Header> headers) {
    std::vector<millrace_header> list;
    for (const Header& header : headers) {
      list.push_back({{header.name.data(), header.name.size()}, {header.value.data(), header.value.size()}});
    }
    millrace_output output = {};
    output.size = sizeof(output);
    output.value = {value.data(), value.size()};
    if (key != nullptr) {
      output.has_key = 1;
      output.key = {key->data(), key->size()};
    }
    output.headers = list.data();
    output.header_count = list.size();
    host_.emit(host_.context, &output);
  }
};

class KeyedOut final : public Out {
 public:
  using Out::Out;

  // What `state()` of the key's next record is. Bytes of one's own: SetState(Packed(Bytes(&mine, sizeof(mine)))).
  void SetState(const Packed& state) {
    host_.set_state(host_.context, state.bytes().data(), state.bytes().size());
  }
  void DropState() { host_.set_state(host_.context, nullptr, 0); }
  // Has OnTimer run for this key after so much log time, which is the broker's. At most 10,000 timers a call.
  void SetTimer(int64_t delay_ms) { host_.set_timer(host_.context, 0, delay_ms); }
  // When event time has passed this.
  void SetTimerAt(int64_t time_ms) { host_.set_timer(host_.context, 1, time_ms); }
};

// The code of `keyed: { plugin: FILE.so }`: what happens to a record, with a state for each key.
class Keyed {
 public:
  virtual ~Keyed() = default;
  virtual void Handle(const Record& record, KeyedOut& out) = 0;
  // Timers are not taken back: the state tells whether one still counts. A class that sets none need not have it.
  virtual void OnTimer(const Record& /*timer*/, KeyedOut& /*out*/) {}
};

// The code of `flat_map: { plugin: FILE.so }`: none, one or many records of each.
class FlatMap {
 public:
  virtual ~FlatMap() = default;
  virtual void Handle(const Record& record, Out& out) = 0;
};

namespace internal {

template <typename Body>
int Guarded(const millrace_host* host, Body body) noexcept {
  const auto fail = [&](std::string_view why) { host->fail(host->context, why.data(), why.size()); };
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    fail(error.what());
  } catch (...) {
    fail("an exception that is no std::exception");
  }
  return 1;
}

template <typename Handler>
class Table {
 public:
  static millrace_plugin Make() {
    millrace_plugin table = {};
    table.abi = MILLRACE_PLUGIN_ABI;
    table.size = sizeof(table);
    table.kind = kIsKeyed ? MILLRACE_KEYED : MILLRACE_FLAT_MAP;
    table.create = &Create;
    table.destroy = &Destroy;
    table.handle = &Handle;
    if constexpr (kIsKeyed) {
      // What is not overridden is Keyed's own.
      if (!std::is_same_v<decltype(&Handler::OnTimer), decltype(&Keyed::OnTimer)>) table.on_timer = &OnTimer;
    }
    return table;
  }

 private:
  static constexpr bool kIsKeyed = std::is_base_of_v<Keyed, Handler>;
  static_assert(kIsKeyed || std::is_base_of_v<FlatMap, Handler>,
                "derive from millrace::Keyed or millrace::FlatMap");
  using OutOf = std::conditional_t<kIsKeyed, KeyedOut, Out>;

  static void* Create(const millrace_host* host) noexcept {
    std::unique_ptr<Handler> handler;
    Guarded(host, [&] { handler = std::make_unique<Handler>(); });
    return handler.release();
  }
  static void Destroy(void* instance) noexcept { delete static_cast<Handler*>(instance); }
  static int Handle(void* instance, const millrace_call* call, const millrace_host* host) noexcept {
    return Guarded(host, [&] {
      OutOf out(*host);
      static_cast<Handler*>(instance)->Handle(Record(*call), out);
    });
  }
  static int OnTimer(void* instance, const millrace_call* call, const millrace_host* host) noexcept {
    return Guarded(host, [&] {
      KeyedOut out(*host);
      if constexpr (kIsKeyed) static_cast<Handler*>(instance)->OnTimer(Record(*call), out);
    });
  }
};

}  // namespace internal
}  // namespace millrace

// Makes the library a plugin of that class, which has a default constructor. Once in a library, outside of namespaces. The
// table is a static of this very function, and of no template: the loader would let libraries with classes of one name
// share that.
#define MILLRACE_PLUGIN(Handler)                                                                         \
  extern "C" __attribute__((visibility("default"))) const millrace_plugin* millrace_plugin_entry(void) { \
    static const millrace_plugin table = ::millrace::internal::Table<Handler>::Make();                   \
    return &table;                                                                                       \
  }

#endif  // MILLRACE_PLUGIN_H_
