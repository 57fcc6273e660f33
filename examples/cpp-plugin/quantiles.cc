// Exact medians and ninetieth percentiles of delays, for each airport: the state is a count for each minute.
#include <millrace/plugin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace {

constexpr int64_t kLeastMinutes = -120;  // what is beyond these counts as these
constexpr int64_t kMostMinutes = 1440;

// Kept as it lies in memory: all machines that run this must agree on the order of bytes.
struct Counts {
  uint32_t flights = 0;
  std::array<uint32_t, kMostMinutes - kLeastMinutes + 1> by_minute = {};

  // The least delay that `share` per cent of the flights do not exceed.
  int64_t Quantile(uint32_t share) const {
    const uint64_t wanted = (uint64_t{flights} * share + 99) / 100;
    uint64_t seen = 0;
    size_t minute = 0;
    while ((seen += by_minute[minute]) < wanted) ++minute;
    return static_cast<int64_t>(minute) + kLeastMinutes;
  }
};

class Quantiles final : public millrace::Keyed {
 public:
  void Handle(const millrace::Record& record, millrace::KeyedOut& out) override {
    const int64_t delay = record.value()["delay"].Int();
    Counts counts;
    if (!record.state().is_nil()) {
      const std::string_view kept = record.state().AsBytes();
      if (kept.size() != sizeof(counts))
        throw millrace::Error("the state is of another version of this plugin");
      std::memcpy(&counts, kept.data(), sizeof(counts));
    }
    ++counts.flights;
    ++counts.by_minute[static_cast<size_t>(std::clamp(delay, kLeastMinutes, kMostMinutes) - kLeastMinutes)];
    out.SetState(millrace::Packed(millrace::Bytes(&counts, sizeof(counts))));
    out.Emit(
        millrace::Map("flights", counts.flights, "median", counts.Quantile(50), "p90", counts.Quantile(90)));
  }
};

}  // namespace

MILLRACE_PLUGIN(Quantiles)
