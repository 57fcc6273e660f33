#include "common/job/code_fit.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/job/branches.h"
#include "common/job/job_fields.h"
#include "common/job/segments.h"
#include "common/job/yaml_tree.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kElsewhere[] = "leave it as it was, or submit the file as a job of another --name";
// Of TopFields: the rest may change.
constexpr std::string_view kMayChange[] = {"on_error", "commit.interval"};

absl::Status Refuse(std::string_view place, std::string_view what, std::string_view why) {
  return AtPlace(place, absl::FailedPreconditionError(StrCat(what, " — ", why, " — ", kElsewhere)));
}

std::string Change(const std::string& path, const std::string& before, const std::string& after) {
  return StrCat("`", path, "` was ", Quoted(before), ", is ", Quoted(after));
}

std::string WhyFixed(std::string_view path) {
  if (path == "ttl") return "the state notes when each key is due";
  if (path.starts_with("sink.")) return "some of the results are there already";
  if (path == "sink" || path == "retain" || path == "standby")
    return "what is kept of a job is settled when it is made";
  if (path == "name") return "an update is of the job that has the name";
  return "what is in the logs was read and partitioned by it";
}

// The place of the key that the path begins with.
std::string PlaceOfField(const JobSpec& spec, const std::string& path) {
  const auto found = spec.places.find(path.substr(0, path.find('.')));
  return found == spec.places.end() ? "" : found->second;
}

absl::Status CheckTop(const JobSpec& in_force, const JobSpec& next) {
  const JobFields before = TopFields(in_force), after = TopFields(next);
  for (size_t i = 0; i < before.size(); ++i) {
    const std::string& path = before[i].first;
    if (std::count(std::begin(kMayChange), std::end(kMayChange), path) > 0) continue;
    if (before[i].second == after[i].second) continue;
    return Refuse(PlaceOfField(next, path), Change(path, before[i].second, after[i].second), WhyFixed(path));
  }
  return absl::OkStatus();
}

std::string_view KindOf(const StageSpec& stage) {
  return std::holds_alternative<AggregateStage>(stage.what)   ? "aggregate"
         : std::holds_alternative<KeyedStage>(stage.what)     ? "keyed"
         : std::holds_alternative<DedupeStage>(stage.what)    ? "dedupe"
         : std::holds_alternative<WindowStage>(stage.what)    ? "window"
         : std::holds_alternative<RateLimitStage>(stage.what) ? "rate_limit"
                                                              : "key_by";
}

// A stage that keeps state, or cuts segments.
struct LastingStage {
  const StageSpec* stage = nullptr;
  std::string branch;  // which it is in, counted among those with such stages; empty: in none
};

void AddLasting(const std::vector<StageSpec>& stages, const std::string& branch,
                std::vector<LastingStage>* lasting) {
  size_t parted = 0;  // how many stages with such branches there were
  for (const StageSpec& stage : stages) {
    if (KeepsState(stage) || std::holds_alternative<KeyByStage>(stage.what))
      lasting->push_back({&stage, branch});
    const std::vector<BranchSpec>* const branches = BranchesOf(stage);
    if (branches == nullptr) continue;
    const auto kind = static_cast<int>(std::get<BranchStage>(stage.what).kind);
    const size_t before = lasting->size();
    size_t kept = 0;
    for (const BranchSpec& inner : *branches) {
      const size_t had = lasting->size();
      AddLasting(inner.stages, StrCat(branch, "/", kind, ".", parted, ".", kept), lasting);
      kept += lasting->size() > had ? 1 : 0;
    }
    parted += lasting->size() > before ? 1 : 0;
  }
}

std::vector<LastingStage> Lasting(const JobSpec& spec) {
  std::vector<LastingStage> lasting;
  AddLasting(spec.stages, "", &lasting);
  return lasting;
}

std::string WhyLasting(std::string_view kind) {
  return kind == "key_by" ? "it cuts the job into segments, whose logs are there"
                          : "its state is there, or would begin in the middle of the log";
}

absl::Status CheckKind(const JobSpec& next, const StageSpec* before, const StageSpec* after) {
  if (before == nullptr) {
    return Refuse(after->place, StrCat("a new `", KindOf(*after), "`"), WhyLasting(KindOf(*after)));
  }
  if (after == nullptr) {
    return Refuse(PlaceOfField(next, "stages"),
                  StrCat("the `", KindOf(*before), "` ", Quoted(before->code.name), " is gone"),
                  WhyLasting(KindOf(*before)));
  }
  if (KindOf(*before) == KindOf(*after)) return absl::OkStatus();
  return Refuse(after->place, StrCat("`", KindOf(*after), "` where there was `", KindOf(*before), "`"),
                WhyLasting(KindOf(*before)));
}

// What the stage works by; names, timeouts and error policies may change.
JobFields WorkOf(const JobSpec& job, const StageSpec& stage) {
  StageSpec plain = stage;
  plain.code = {};
  auto* const key_by = std::get_if<KeyByStage>(&plain.what);
  if (key_by != nullptr && key_by->partitions == 0) key_by->partitions = job.partitions;
  // A bucket's level means the same under every rate (common/pipeline/token_bucket.h).
  if (auto* const limit = std::get_if<RateLimitStage>(&plain.what)) {
    const RateLimitStage::Per per = limit->per;
    *limit = RateLimitStage();
    limit->per = per;
  }
  return StageFields(std::string(KindOf(stage)), plain);
}

absl::Status CheckWork(const JobFields& old_fields, const JobFields& new_fields, const StageSpec& after) {
  if (std::holds_alternative<KeyedStage>(after.what)) return absl::OkStatus();
  for (size_t i = 0; i < std::min(old_fields.size(), new_fields.size()); ++i) {
    if (old_fields[i] == new_fields[i]) continue;
    // `aggregate.aggregate.mean` is the field `aggregate.mean` to people.
    const std::string path = old_fields[i].first.substr(old_fields[i].first.find('.') + 1);
    return Refuse(after.place, Change(path, old_fields[i].second, new_fields[i].second),
                  WhyLasting(KindOf(after)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCodeFits(const JobSpec& in_force, const JobSpec& next) {
  if (absl::Status status = CheckTop(in_force, next); !status.ok()) return status;
  const std::vector<LastingStage> before = Lasting(in_force), after = Lasting(next);
  for (size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
    const StageSpec* const old_stage = i < before.size() ? before[i].stage : nullptr;
    const StageSpec* const new_stage = i < after.size() ? after[i].stage : nullptr;
    if (absl::Status status = CheckKind(next, old_stage, new_stage); !status.ok()) return status;
    if (before[i].branch != after[i].branch) {
      return Refuse(new_stage->place,
                    StrCat("the `", KindOf(*new_stage), "` ", Quoted(new_stage->code.name),
                           " is in another branch than the one in its place was"),
                    "its state is of the records that went there");
    }
    if (absl::Status status = CheckWork(WorkOf(in_force, *old_stage), WorkOf(next, *new_stage), *new_stage);
        !status.ok())
      return status;
  }
  return absl::OkStatus();
}

}  // namespace millrace
