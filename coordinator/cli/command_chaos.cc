// chaos: faults on purpose, from a seed, then a verdict.
#include <cstdlib>
#include <filesystem>
#include <random>

#include "absl/strings/str_format.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/failpoint.h"
#include "common/signals.h"
#include "common/strings.h"
#include "coordinator/chaos/checker.h"
#include "coordinator/chaos/director.h"
#include "coordinator/chaos/ledger.h"
#include "coordinator/chaos/presets.h"
#include "coordinator/chaos/report.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/table.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

constexpr int64_t kMaxKills = 100'000;
constexpr int64_t kSeedEnd = 1'000'000'000;  // short enough to be typed again

struct ChaosFlags {
  std::string file, preset, show, nats, data, old_worker;
  std::optional<int64_t> seed, kills;
  absl::Duration duration = absl::ZeroDuration();  // not given
  bool list = false, plan = false;
};

struct ChosenScenario {
  chaos::Scenario scenario;
  std::string text;
};

absl::StatusOr<ChosenScenario> ChooseScenario(const ChaosFlags& flags) {
  if (flags.file.empty() == flags.preset.empty()) {
    return absl::InvalidArgumentError(
        "chaos takes a scenario's file or --preset NAME — one of the two — try `coordinator chaos --list`");
  }
  std::string name = flags.file, text;
  if (flags.file.empty()) {
    const auto preset = chaos::FindPreset(flags.preset);
    if (!preset.ok()) return preset.status();
    name = flags.preset;
    text = std::string(preset->text);
  } else {
    auto read = chaos::ReadFile(flags.file);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  auto scenario = chaos::ParseScenario(name, text);
  if (scenario.ok() && flags.kills.has_value()) {
    if (*flags.kills < 1 || *flags.kills > kMaxKills) {
      return absl::InvalidArgumentError(
          StrCat("--kills ", *flags.kills, " — out of range — between 1 and ", kMaxKills));
    }
    scenario = chaos::WithKills(*std::move(scenario), *flags.kills);
  }
  if (scenario.ok() && flags.duration > absl::ZeroDuration()) {
    scenario = chaos::WithDuration(*std::move(scenario), flags.duration);
  }
  if (!scenario.ok()) return scenario.status();
  return ChosenScenario{*std::move(scenario), std::move(text)};
}

// What this build and this cluster cannot do is said before anything starts.
absl::Status CheckFeasible(const chaos::Scenario& scenario, const ChaosFlags& flags) {
  for (const chaos::FaultSpec& fault : scenario.faults) {
#if !MILLRACE_TEST_HOOKS
    const bool is_real_upgrade = fault.kind == chaos::FaultKind::kUpgrade && !flags.old_worker.empty();
    if (!fault.points.empty() || (chaos::NeedsTestHooks(fault.kind) && !is_real_upgrade)) {
      return absl::FailedPreconditionError(StrCat("`", chaos::KindName(fault.kind), "`",
                                                  fault.points.empty() ? "" : " with `at_point`",
                                                  " — this build has no test hooks — try "
                                                  "`./run chaos`, which builds one that has"));
    }
#endif
    if (!flags.nats.empty() && !chaos::WorksAnywhere(fault.kind)) {
      return absl::FailedPreconditionError(
          StrCat("`", chaos::KindName(fault.kind),
                 "` cannot be done to a cluster that runs elsewhere — it needs the "
                 "processes — try without --nats, or --preset foreign"));
    }
  }
  return absl::OkStatus();
}

// Where everything of a run is kept: what --data names, or a temporary folder.
absl::StatusOr<std::string> MakeRunFolder(const std::string& data) {
  std::error_code error;
  std::string folder = data;
  if (folder.empty()) {
    folder = (std::filesystem::temp_directory_path(error) / "millrace-chaos-XXXXXX").string();
    if (mkdtemp(folder.data()) != nullptr) return folder;
    return absl::FailedPreconditionError(
        "cannot make a temporary folder — is the disk full? — try --data DIR");
  }
  std::filesystem::create_directories(folder, error);
  if (!error && !std::filesystem::is_empty(folder, error)) {
    return absl::FailedPreconditionError(
        StrCat("--data ", folder, " is not empty — a run starts in a new folder"));
  }
  if (error) return absl::FailedPreconditionError(StrCat("--data ", folder, " — ", error.message()));
  return std::filesystem::absolute(folder, error).string();
}

int ListPresets(bool json) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const chaos::Preset& preset : chaos::Presets()) {
    const auto scenario = chaos::ParseScenario(preset.name, preset.text);
    nlohmann::ordered_json row;
    row["preset"] = std::string(preset.name);
    row["about"] = scenario.ok() ? scenario->about : "";
    rows.push_back(std::move(row));
  }
  const std::vector<TableColumn> columns = {{"preset", "PRESET"}, {"about", "ABOUT"}};
  const TableStyle style = UseColor() ? TableStyle::kColor : TableStyle::kPlain;
  const std::string text = json ? rows.dump(2) + "\n" : FormatTable(columns, rows, style);
  const absl::Status written = WriteOut(text);
  return written.ok() ? kExitDone : Fail(written);
}

int ShowPreset(const std::string& name) {
  const auto preset = chaos::FindPreset(name);
  const absl::Status status = preset.ok() ? WriteOut(preset->text) : preset.status();
  return status.ok() ? kExitDone : Fail(status);
}

int ShowPlan(const chaos::Scenario& scenario, uint64_t seed, bool json) {
  const auto plan = chaos::Plan(scenario, seed);
  std::string text = chaos::ToJson(plan).dump(2) + "\n";
  if (!json) {
    text.clear();
    for (const chaos::PlannedFault& fault : plan) {
      absl::StrAppendFormat(&text, "%7.1f s  #%-3d %s\n", absl::ToDoubleSeconds(fault.at), fault.number,
                            chaos::Describe(fault));
    }
  }
  const absl::Status written = WriteOut(text);
  return written.ok() ? kExitDone : Fail(written);
}

class ChaosRun {
 public:
  ChaosRun(const ChosenScenario& chosen, const ChaosFlags& flags, uint64_t seed, bool json)
      : chosen_(chosen), flags_(flags), seed_(seed), json_(json) {}
  // After the cluster has stopped: nothing writes there any more.
  ~ChaosRun() {
    std::error_code ignored;
    if (remove_at_end_) std::filesystem::remove_all(folder_, ignored);
  }

  int Run() {
    auto folder = MakeRunFolder(flags_.data);
    if (!folder.ok()) return Fail(folder.status());
    folder_ = *std::move(folder);
    absl::Status status = chaos::WriteFile(folder_ + "/scenario.yaml", chosen_.text);
    if (!status.ok()) return Fail(status);
    Announce();
    chaos::DirectorOptions options{
        chosen_.scenario,  seed_,
        folder_,           flags_.nats,
        flags_.old_worker, [this](const chaos::FaultOutcome& outcome) { Tell(TimelineLine(outcome)); }};
    auto director = std::make_unique<chaos::Director>(std::move(options), SystemClock());
    const auto history = director->Run();
    if (!history.ok()) {
      director.reset();
      Say(StrCat("what there is of the run is in ", folder_));
      return absl::IsCancelled(history.status()) && StopSignals() > 0 ? kExitInterrupted
                                                                      : Fail(history.status());
    }
    return Judge(*history, *director);
  }

 private:
  void Announce() {
    const chaos::Scenario& scenario = chosen_.scenario;
    Tell(StrCat("Scenario ", scenario.name, ", seed ", seed_, ": ", scenario.load.records(),
                " records for each of three jobs, ", scenario.load.rate, " a second, while ",
                chaos::Plan(scenario, seed_).size(), " faults happen ",
                flags_.nats.empty() ? StrCat("to ", scenario.cluster.workers, " workers")
                                    : StrCat("in the cluster at ", WithoutPasswords(flags_.nats)),
                "\n"));
  }
  // The document has standard output for itself.
  void Tell(const std::string& text) {
    std::fputs(text.c_str(), json_ ? stderr : stdout);
    std::fflush(json_ ? stderr : stdout);
  }

  int Judge(const chaos::History& history, chaos::Director& director) {
    const chaos::Verdict verdict = chaos::Check(history);
    const char* defect = std::getenv("MILLRACE_DEFECT");
    chaos::RunReport run{chosen_.scenario.name, seed_, folder_, defect != nullptr ? defect : ""};
    if (!verdict.good()) {
      if (const absl::Status dumped = director.Dump(); !dumped.ok()) {
        Say(StrCat("the streams could not be written down — ", ToStd(dumped.message())));
      }
    } else if (flags_.data.empty()) {
      run.folder.clear();
    }
    const std::string document = ToJson(run, history, verdict).dump(2) + "\n";
    static_cast<void>(chaos::WriteFile(folder_ + "/verdict.json", document));
    if (verdict.good() && flags_.data.empty()) remove_at_end_ = true;
    const absl::Status written = WriteOut(json_ ? document : ToText(run, history, verdict));
    if (!written.ok()) return Fail(written);
    return verdict.good() ? kExitDone : kExitFailed;
  }

  const ChosenScenario& chosen_;
  const ChaosFlags& flags_;
  const uint64_t seed_;
  const bool json_;
  std::string folder_;
  bool remove_at_end_ = false;
};

void AddChaosFlags(ChaosFlags* flags, Flags& to) {
  to.OptionalPositional("FILE", &flags->file);
  to.Add("preset", &flags->preset, "NAME", "a scenario that comes with this executable");
  to.Add("seed", &flags->seed, "N", "which plan: the same seed gives the same one (default: a new one)");
  to.Add("duration", &flags->duration, "how long records flow; default: what the scenario says");
  to.Add("kills", &flags->kills, "N", "how many kills, the rest in proportion");
  to.Add("data", &flags->data, "DIR",
         "a new folder for all of it, kept; default: one that is kept when it fails");
  to.Add("nats", &flags->nats, "URL", "the broker of a cluster that is there; default: a cluster of its own");
  to.Add("old-worker", &flags->old_worker, "FILE",
         "the executable that workers begin as, until an `upgrade` renews them; default: this release's");
  to.AddSwitch("list", &flags->list, "list the presets");
  to.Add("show", &flags->show, "NAME", "print a preset's file, to begin one's own with");
  to.AddSwitch("plan", &flags->plan, "print what would happen when, and do nothing");
}

}  // namespace

int RunChaos(const Arguments& arguments) {
  ChaosFlags flags;
  CommandLine command(
      "coordinator chaos FILE|--preset NAME [--seed N] [--duration D] [--kills N] [--data DIR] [--nats URL] "
      "[--old-worker FILE] "
      "[-o "
      "table|json]",
      "Breaks a cluster on purpose while three ledger jobs run on it, then says what held: a timeline, and "
      "the "
      "verdict of a "
      "checker that knows nothing of Millrace. Exit code 1 when anything is broken.",
      "coordinator chaos --preset kills --seed 7");
  command.AddOutput({"table", "json"});
  AddChaosFlags(&flags, command.flags());
  if (const auto exit = command.Parse(arguments)) return *exit;
  if (flags.list) return ListPresets(command.json());
  if (!flags.show.empty()) return ShowPreset(flags.show);
  const auto chosen = ChooseScenario(flags);
  if (!chosen.ok()) return Fail(chosen.status());
  const int64_t seed = flags.seed.value_or(static_cast<int64_t>(std::random_device()() % kSeedEnd));
  if (seed < 0) return Fail(absl::InvalidArgumentError(StrCat("--seed ", seed, " — expected 0 or more")));
  if (flags.plan) return ShowPlan(chosen->scenario, static_cast<uint64_t>(seed), command.json());
  if (const absl::Status status = CheckFeasible(chosen->scenario, flags); !status.ok()) return Fail(status);
  return ChaosRun(*chosen, flags, static_cast<uint64_t>(seed), command.json()).Run();
}

}  // namespace millrace
