// What a keyed plugin can do, and do wrongly, as a record asks for it.
#include <csignal>
#include <stdexcept>
#include <string>

#include "millrace/plugin.h"

namespace {

class Counter final : public millrace::Keyed {
 public:
  void Handle(const millrace::Record& record, millrace::KeyedOut& out) override {
    const millrace::Value seen = record.value();
    const millrace::Value value = seen.type() == millrace::Value::Type::kMap ? seen : millrace::Value();
    const int64_t n = record.state()["n"].IntOr(0) + 1;
    out.SetState(millrace::Map("n", n));
    if (value["drop"].BoolOr(false)) out.DropState();
    out.Emit(millrace::Map("n", n, "seen", seen, "at", record.time_ms(), "label", record.label()));
    if (!value["copy_to"].is_nil()) {
      out.EmitAs(value["copy_to"].String(), millrace::Packed("copied"), {{"from", record.key()}});
    }
    if (!value["timer"].is_nil()) out.SetTimer(value["timer"].Int());
    // Behind everything: nothing of it may have an effect.
    const std::string_view wrong = value["do"].StringOr("");
    if (wrong == "throw") throw std::runtime_error("two\nlines");
    if (wrong == "throw int") throw 7;
    if (wrong == "type") value["do"].Int();
    if (wrong == "crash") std::raise(SIGSEGV);
    if (wrong == "abort") std::raise(SIGABRT);
    if (wrong == "no value") out.Emit(millrace::Packed::OfPacked("\xc1"));
    if (wrong == "two values") out.SetState(millrace::Packed::OfPacked("\x01\x02"));
    if (wrong == "no text") out.Emit(millrace::Packed("\xff"));
    if (wrong == "timer") out.SetTimer(-1);
  }
  void OnTimer(const millrace::Record& timer, millrace::KeyedOut& out) override {
    out.Emit(millrace::Map("fired", true, "n", timer.state()["n"], "ending", timer.ending()));
  }
};

}  // namespace

MILLRACE_PLUGIN(Counter)
