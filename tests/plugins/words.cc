// A flat_map plugin: a record for each word.
#include <string_view>

#include "millrace/plugin.h"

namespace {

class Words final : public millrace::FlatMap {
 public:
  void Handle(const millrace::Record& record, millrace::Out& out) override {
    const millrace::Value value = record.value();
    const bool is_raw = value.type() == millrace::Value::Type::kBytes;
    std::string_view text = is_raw ? value.AsBytes() : value["text"].String();
    while (!text.empty()) {
      const size_t end = text.find(' ');
      if (end != 0) out.EmitAs(text.substr(0, end), millrace::List(text.substr(0, end), 1));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  }
};

}  // namespace

MILLRACE_PLUGIN(Words)
