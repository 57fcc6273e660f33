// What a plugin of a later version of the interface looks like.
#include "millrace/plugin_abi.h"

extern "C" __attribute__((visibility("default"))) const millrace_plugin* millrace_plugin_entry(void) {
  static const millrace_plugin table = [] {
    millrace_plugin made = {};
    made.abi = MILLRACE_PLUGIN_ABI + 1;
    return made;
  }();
  return &table;
}
