#include <array>
#include <cstdio>

#include "common/broker_limits.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/doctor/doctor.h"

namespace millrace {
namespace {

constexpr uint64_t kLowStoreBytes = uint64_t{1} << 30;
constexpr uint64_t kLowDiskBytes = uint64_t{2} << 30;
constexpr uint64_t kVeryLowDiskBytes = uint64_t{200} << 20;
constexpr uint64_t kFewOpenFiles = 4096;
constexpr int64_t kFewestCopies = 3;  // that survive a server
constexpr absl::Duration kSlowAppend = absl::Milliseconds(100);
constexpr absl::Duration kClockTolerance = absl::Seconds(2);

using Level = Finding::Level;

class Findings {
 public:
  void Ok(std::string what) { all_.push_back({Level::kOk, std::move(what), "", ""}); }
  void Warn(std::string what, std::string why, std::string try_this) {
    all_.push_back({Level::kWarn, std::move(what), std::move(why), std::move(try_this)});
  }
  void Fail(std::string what, std::string why, std::string try_this) {
    all_.push_back({Level::kFail, std::move(what), std::move(why), std::move(try_this)});
  }
  std::vector<Finding> Take() { return std::move(all_); }

 private:
  std::vector<Finding> all_;
};

// Major, minor, patch; zeros when it is no version.
std::array<int, 3> ParseVersion(const std::string& text) {
  std::array<int, 3> version{};
  std::sscanf(text.c_str(), "%d.%d.%d", &version[0], &version[1], &version[2]);
  return version;
}

void JudgeVersion(const DoctorFacts& facts, Findings* out) {
  const auto version = ParseVersion(facts.server.version);
  const std::string what = StrCat("nats-server ", facts.server.version);
  if (version < std::array{2, 9, 0}) {
    out->Fail(what, "older than 2.9: streams and consumers lack what Millrace rests on",
              "nats-server 2.10 or later");
  } else if (version < std::array{2, 9, 22}) {
    out->Warn(what,
              "2.9 before 2.9.22 has known faults that lose data on replicated streams and after a crash",
              "nats-server 2.10 or later; until then a single server with `sync_interval: always`");
  } else {
    out->Ok(what);
  }
}

void JudgeBroker(const DoctorFacts& facts, Findings* out) {
  if (facts.server.max_payload > 0 && facts.server.max_payload < kMinServerPayloadBytes) {
    out->Fail(StrCat("max_payload ", FormatSize(static_cast<uint64_t>(facts.server.max_payload))),
              "a result may need 1 MiB: workers and submit refuse to run",
              "`max_payload: 1MB` in the server's configuration");
  } else {
    out->Ok(StrCat("max_payload ", FormatSize(static_cast<uint64_t>(facts.server.max_payload))));
  }
  if (facts.clustered == false) {
    out->Warn(
        "a single server",
        "by default it syncs its disk every 1 to 2 minutes: a power cut loses what it acknowledged since",
        "`jetstream { sync_interval: always }`, or three servers and replicas");
  } else if (facts.clustered == true) {
    out->Ok("clustered servers");
  }
  if (!facts.append_error.empty()) {
    out->Fail("JetStream takes no message", facts.append_error, "the server's log and the account's limits");
  } else if (facts.append_time) {
    const std::string what =
        StrCat("JetStream acknowledged a message in ", absl::FormatDuration(*facts.append_time));
    if (*facts.append_time > kSlowAppend) {
      out->Warn(what, "slow: results wait for each acknowledgement", "a faster disk, or a broker nearby");
    } else {
      out->Ok(what);
    }
  }
}

void JudgeStore(const DoctorFacts& facts, Findings* out) {
  if (!facts.store_limit_bytes || !facts.store_used_bytes) return;
  const std::string used = FormatSize(*facts.store_used_bytes);
  if (*facts.store_limit_bytes < 0) {
    out->Ok(StrCat("JetStream store: ", used, " used, no limit of the account"));
    return;
  }
  const auto limit = static_cast<uint64_t>(*facts.store_limit_bytes);
  const uint64_t left = limit > *facts.store_used_bytes ? limit - *facts.store_used_bytes : 0;
  const std::string what = StrCat("JetStream store: ", used, " of ", FormatSize(limit), " used");
  if (left == 0) {
    out->Fail(what, "full: every append is refused", "delete jobs, or raise max_file_store");
  } else if (left < kLowStoreBytes) {
    out->Warn(what, StrCat("only ", FormatSize(left), " left for inputs and results"),
              "raise max_file_store");
  } else {
    out->Ok(what);
  }
}

void JudgeClock(const DoctorFacts& facts, Findings* out) {
  if (!facts.clock_difference) return;
  const absl::Duration size = absl::AbsDuration(*facts.clock_difference);
  constexpr absl::Duration kShownPrecision = absl::Milliseconds(1);
  const std::string apart = size < kShownPrecision
                                ? StrCat("less than ", absl::FormatDuration(kShownPrecision))
                                : absl::FormatDuration(absl::Trunc(size, kShownPrecision));
  const std::string what = StrCat("the broker's clock and this one are ", apart, " apart");
  if (size > kClockTolerance) {
    out->Warn(what, "ages and lags that are shown will be wrong by as much; results will not",
              "time synchronisation (chrony) on both machines");
  } else {
    out->Ok(what);
  }
}

void JudgeBuckets(const DoctorFacts& facts, Findings* out) {
  for (const BucketFacts& bucket : facts.buckets) {
    const std::string what = StrCat("bucket ", bucket.name);
    if (!bucket.exists) {
      out->Ok(StrCat(what, " is not there yet: the first coordinator makes it"));
    } else if (bucket.ages) {
      out->Fail(what, "its keys expire: epochs and assignments would be forgotten",
                "make it anew without max_age");
    } else if (bucket.discards_old) {
      out->Fail(what, "drops old keys when full: epochs could be claimed twice",
                "make it anew with `discard: new`");
    } else if (bucket.in_memory) {
      out->Fail(what, "is kept in memory: a restart of the broker forgets every job",
                "make it anew with file storage");
    } else if (facts.clustered == true && bucket.replicas < kFewestCopies) {
      out->Warn(
          StrCat(what, " has ", bucket.replicas, bucket.replicas == 1 ? " copy" : " copies"),
          "every job stands on it, also those with more copies: they stop with the server that holds it",
          StrCat("`nats stream edit KV_", bucket.name,
                 " --replicas 3`; `--replicas 3` of `coordinator "
                 "serve` and `worker` makes new ones so"));
    } else {
      out->Ok(what);
    }
  }
}

void JudgeMachine(const DoctorFacts& facts, Findings* out) {
  if (!facts.disk_error.empty()) {
    out->Fail(StrCat("data folder ", facts.data_dir), facts.disk_error,
              "--data DIR, a folder that can be written");
  } else if (facts.disk_free_bytes) {
    const std::string what =
        StrCat("data folder ", facts.data_dir, ": ", FormatSize(*facts.disk_free_bytes), " free");
    if (*facts.disk_free_bytes < kVeryLowDiskBytes) {
      out->Fail(what, "a worker could not commit", "free some, or --data on another disk");
    } else if (*facts.disk_free_bytes < kLowDiskBytes) {
      out->Warn(what, "state may outgrow it", "free some, or --data on another disk");
    } else {
      out->Ok(what);
    }
  }
  const std::string files = StrCat("open files: up to ", facts.open_files_limit);
  if (facts.open_files_limit < kFewOpenFiles) {
    out->Warn(files, "each partition keeps a database open, of tens of files",
              StrCat("`ulimit -n ", 65536, "`"));
  } else {
    out->Ok(files);
  }
}

}  // namespace

std::vector<Finding> Judge(const DoctorFacts& facts) {
  Findings out;
  if (facts.lacks_jetstream) {
    out.Ok("NATS answers");
    out.Fail("JetStream is off", facts.connect_error, "start the server with `nats-server -js`");
  } else if (!facts.connect_error.empty()) {
    out.Fail("NATS does not answer", facts.connect_error,
             "--nats URL, or `coordinator dev`, which starts one");
  } else {
    out.Ok("NATS answers");
    JudgeVersion(facts, &out);
    out.Ok("JetStream is on");
    JudgeBroker(facts, &out);
    JudgeStore(facts, &out);
    JudgeClock(facts, &out);
    JudgeBuckets(facts, &out);
  }
  JudgeMachine(facts, &out);
  return out.Take();
}

nlohmann::ordered_json ToJson(const std::vector<Finding>& findings) {
  auto rows = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    const char* const levels[] = {"ok", "warn", "fail"};
    rows.push_back({{"level", levels[static_cast<int>(finding.level)]},
                    {"what", finding.what},
                    {"why", finding.why},
                    {"try", finding.try_this}});
  }
  return rows;
}

}  // namespace millrace
