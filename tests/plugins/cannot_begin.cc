// A plugin whose constructor fails.
#include <stdexcept>

#include "millrace/plugin.h"

namespace {

class CannotBegin final : public millrace::FlatMap {
 public:
  CannotBegin() { throw std::runtime_error("its table is missing"); }
  void Handle(const millrace::Record& /*record*/, millrace::Out& /*out*/) override {}
};

}  // namespace

MILLRACE_PLUGIN(CannotBegin)
