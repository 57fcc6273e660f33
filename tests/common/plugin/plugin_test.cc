// Stages whose code is in shared libraries: tests/plugins, built beside this test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/code/code_files.h"
#include "common/hash/sha256.h"
#include "common/plugin/crash_guard.h"
#include "common/strings.h"
#include "tests/common/pipeline/pipeline_rig.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string JobOf(std::string_view stage) {
  return StrCat("name: a\nkey: k\npartitions: 1\nstages: [ ", stage, " ]\n");
}
const char kCount[] = "{ keyed: { plugin: counter.so }, name: count }";
const char kWords[] = "{ flat_map: { plugin: words.so }, name: words }";

JobSpec Loaded(const std::string& text, const std::string& folder = MILLRACE_TEST_PLUGINS) {
  absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", text);
  EXPECT_TRUE(spec.ok()) << spec.status();
  const absl::Status loaded = CodeFiles(folder).Load(&*spec);
  EXPECT_TRUE(loaded.ok()) << loaded;
  return *std::move(spec);
}

// Empty: none.
std::string StateOf(PipelineRig& rig, std::string_view key) {
  return rig.pipeline().StateJson(rig.state(), key).value_or("");
}

absl::Status LoadStatus(std::string_view stage, const std::string& folder = MILLRACE_TEST_PLUGINS) {
  absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", JobOf(stage));
  EXPECT_TRUE(spec.ok()) << spec.status();
  return CodeFiles(folder).Load(&*spec);
}

TEST(PluginTest, AKeyedOneKeepsAStateForEachKey) {
  PipelineRig rig(Loaded(JobOf(kCount)), {});
  ASSERT_TRUE(rig.Feed({{"a", R"({"x":1})", 5}, {"b", R"([1,"two",null,2.5])", 6}, {"a", "-70000", 7}}).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"n":1,"seen":{"x":1},"at":5,"label":"0.0.1.0"})",
                                            R"(b {"n":1,"seen":[1,"two",null,2.5],"at":6,"label":"0.0.1.1"})",
                                            R"(a {"n":2,"seen":-70000,"at":7,"label":"0.0.1.2"})"));
  EXPECT_EQ(StateOf(rig, "a"), R"({"n":2})");
}

TEST(PluginTest, DropsStateAndPutsOutUnderOtherKeys) {
  PipelineRig rig(Loaded(JobOf(kCount)), {});
  ASSERT_TRUE(rig.Feed({{"a", R"({"drop":true,"copy_to":"c"})", 5}}).ok());
  ASSERT_EQ(rig.sink.outputs.size(), 2u);
  EXPECT_EQ(rig.sink.outputs[1], R"(c "copied")");
  EXPECT_EQ(rig.sink.header_texts[1], "from=a;");
  EXPECT_EQ(StateOf(rig, "a"), "");
}

TEST(PluginTest, ItsTimersFire) {
  PipelineRig rig(Loaded(JobOf(kCount)), {});
  ASSERT_TRUE(rig.Feed({{"a", R"({"timer":10})", 5}, {"a", R"({"timer":900000})", 6}}).ok());
  ASSERT_TRUE(rig.End().ok());
  ASSERT_EQ(rig.sink.outputs.size(), 4u);
  EXPECT_EQ(rig.sink.outputs[2], R"(a {"fired":true,"n":2,"ending":false})");
  EXPECT_EQ(rig.sink.outputs[3], R"(a {"fired":true,"n":2,"ending":true})");
}

TEST(PluginTest, WhatGoesWrongIsTheRecordsErrorAndHasNoEffect) {
  const std::vector<std::pair<std::string, std::string>> wrongs = {
      {"throw", "two lines"},
      {"throw int", "an exception that is no std::exception"},
      {"type", "expected an integer, got a string"},
      {"no value", "emit: bytes that are no MessagePack of this protocol"},
      {"two values", "state: more than one value"},
      {"no text", "emit: text that is not UTF-8"},
      {"timer", "a timer's time is milliseconds below 2^53, and its delay is not negative, not -1"},
  };
  for (const auto& [wrong, message] : wrongs) {
    PipelineRig rig(Loaded(JobOf(kCount)), {});
    ASSERT_TRUE(rig.Feed({{"a", StrCat("{\"do\":\"", wrong, "\"}"), 5}}).ok());
    EXPECT_THAT(rig.sink.letters, ElementsAre(StrCat("0 count: ", message))) << wrong;
    EXPECT_THAT(rig.sink.outputs, IsEmpty()) << wrong;
    EXPECT_EQ(StateOf(rig, "a"), "") << wrong;
  }
}

TEST(PluginTest, AFlatMapPutsOutOneForEach) {
  PipelineRig rig(Loaded(JobOf(kWords)), {});
  ASSERT_TRUE(
      rig.Feed({{"k", R"({"text":"to be  or"})", 5}, {"k", R"({"text":""})", 6}, {"k", R"({"text":7})", 7}})
          .ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(to ["to",1])", R"(be ["be",1])", R"(or ["or",1])"));
  EXPECT_THAT(rig.sink.letters, ElementsAre("2 words: expected a string, got an integer"));
}

TEST(PluginTest, TheRecordSaysWhatIsWrongWithAFile) {
  const auto error_of = [](std::string_view stage, const std::string& folder = MILLRACE_TEST_PLUGINS) {
    const absl::Status status = LoadStatus(stage, folder);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return std::string(status.message());
  };
  EXPECT_EQ(
      error_of(kCount, ""),
      "job.yaml:4:11: plugin counter.so cannot be looked up — no folder of plugins was given here — try "
      "--plugins DIR, or MILLRACE_PLUGINS");
  EXPECT_THAT(error_of("{ keyed: { plugin: missing.so } }"),
              StartsWith("job.yaml:4:11: plugin missing.so cannot be read in " MILLRACE_TEST_PLUGINS
                         " — No such file or directory — put it there"));
  EXPECT_THAT(error_of("{ keyed: { plugin: no_entry.so } }"),
              StartsWith("job.yaml:4:11: plugin no_entry.so has no function millrace_plugin_entry — "));
  EXPECT_EQ(
      error_of("{ keyed: { plugin: later_abi.so } }"),
      "job.yaml:4:11: plugin later_abi.so is made for version 2 of the plugin interface — this release has "
      "version 1 — build it again with the <millrace/plugin.h> of this release");
  EXPECT_EQ(error_of("{ keyed: { plugin: words.so } }"),
            "job.yaml:4:11: plugin words.so is made for `flat_map`, not for `keyed` — its class derives from "
            "millrace::FlatMap — name it in a stage of that kind");
  EXPECT_THAT(error_of("{ flat_map: { plugin: counter.so } }"),
              HasSubstr("is made for `keyed`, not for `flat_map`"));
}

class PluginFolderTest : public testing::Test {
 protected:
  void Put(const std::string& name, const std::string& like) {
    const std::string from = StrCat(MILLRACE_TEST_PLUGINS, "/", like);
    std::filesystem::copy_file(from, folder_.path() + "/" + name,
                               std::filesystem::copy_options::overwrite_existing);
  }

  TempFolder folder_{"plugins"};
};

TEST_F(PluginFolderTest, AFileThatIsNoLibraryIsRefused) {
  std::ofstream(folder_.path() + "/counter.so") << "no library\n";
  const absl::Status status = LoadStatus(kCount, folder_.path());
  EXPECT_THAT(std::string(status.message()),
              testing::MatchesRegex("job.yaml:4:11: plugin counter.so cannot be loaded — .* — is it a shared "
                                    "library for this machine\\?"));
}

TEST_F(PluginFolderTest, AConstructorThatFailsIsTold) {
  JobSpec spec = Loaded(JobOf("{ flat_map: { plugin: cannot_begin.so } }"));
  EXPECT_EQ(
      std::string(Pipeline::Create(spec, {}).status().message()),
      "job.yaml:4:11: plugin cannot_begin.so cannot begin: its table is missing — its constructor failed — "
      "mend it");
}

TEST_F(PluginFolderTest, AnotherFileThanTheJobWasSubmittedWithIsRefusedUntilItIsBack) {
  Put("counter.so", "counter.so");
  JobSpec submitted = Loaded(JobOf(kCount), folder_.path());
  ASSERT_EQ(submitted.files.size(), 1u);
  EXPECT_EQ(submitted.files[0].name, "counter.so");
  const std::string sha256 = submitted.files[0].sha256;

  Put("counter.so", "words.so");
  absl::StatusOr<JobSpec> elsewhere = ParseJob("job.yaml", JobOf(kCount));
  elsewhere->files = submitted.files;
  CodeFiles files(folder_.path());
  const absl::Status refused = files.Load(&*elsewhere);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(refused.message()),
      testing::AllOf(HasSubstr("is not the file that the job was submitted with"), HasSubstr(sha256)));

  Put("counter.so", "counter.so");
  EXPECT_TRUE(files.Load(&*elsewhere).ok());
  EXPECT_EQ(elsewhere->files, submitted.files);
}

TEST_F(PluginFolderTest, AFileThatIsWrittenOverChangesNothingOfWhatIsLoaded) {
  Put("counter.so", "counter.so");
  PipelineRig rig(Loaded(JobOf(kCount), folder_.path()), {});
  std::ofstream(folder_.path() + "/counter.so", std::ios::trunc) << "gone";
  ASSERT_TRUE(rig.Feed({{"a", "1", 5}}).ok());
  EXPECT_EQ(rig.sink.outputs.size(), 1u);
}

TEST_F(PluginFolderTest, TwoContentsOfOneNameAreTwoPlugins) {
  Put("p.so", "counter.so");
  CodeFiles files(folder_.path());
  absl::StatusOr<JobSpec> keyed = ParseJob("job.yaml", JobOf("{ keyed: { plugin: p.so } }"));
  ASSERT_TRUE(files.Load(&*keyed).ok());
  Put("p.so", "words.so");
  absl::StatusOr<JobSpec> flat_map = ParseJob("job.yaml", JobOf("{ flat_map: { plugin: p.so } }"));
  ASSERT_TRUE(files.Load(&*flat_map).ok());
  EXPECT_NE(keyed->files, flat_map->files);
  // The first is still found by its content.
  absl::StatusOr<JobSpec> again = ParseJob("job.yaml", JobOf("{ keyed: { plugin: p.so } }"));
  again->files = keyed->files;
  EXPECT_TRUE(files.Load(&*again).ok());
}

TEST(PluginTest, ASpecThatWasNotLoadedIsNotRun) {
  const absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", JobOf(kCount));
  EXPECT_EQ(std::string(Pipeline::Create(*spec, {}).status().message()),
            "job.yaml:4:11: plugin counter.so is not loaded here");
}

// Ends the process from the signal's handler, as a watchdog would a moment later.
class CrashSayer : public CallObserver {
 public:
  void Enter(Offset, uint32_t, absl::Duration, const std::string&) override {}
  void Leave() override {}
  void Crash(int signal) override {
    const std::string_view name = SignalName(signal);
    const ssize_t written = write(STDERR_FILENO, name.data(), name.size());
    _exit(written == static_cast<ssize_t>(name.size()) ? 42 : 43);
  }
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

TEST(PluginDeathTest, ACrashIsToldToTheObserverOfTheCall) {
  if (kSanitized) GTEST_SKIP() << "NOT TESTED: the sanitizer has handlers of its own for these signals";
  const JobSpec spec = Loaded(JobOf(kCount));
  CrashSayer sayer;
  PipelineOptions options;
  options.observer = &sayer;
  for (const char* const wrong : {"crash", "abort"}) {
    EXPECT_EXIT(
        {
          PipelineRig rig(spec, options);
          static_cast<void>(rig.Feed({{"a", StrCat("{\"do\":\"", wrong, "\"}"), 5}}));
        },
        testing::ExitedWithCode(42), wrong == std::string_view("crash") ? "SIGSEGV" : "SIGABRT");
  }
}

TEST(PluginDeathTest, ACrashOutsideOfAPluginTakesItsUsualCourse) {
  if (kSanitized) GTEST_SKIP() << "NOT TESTED: the sanitizer has handlers of its own for these signals";
  InstallCrashHandlers();
  EXPECT_EXIT(raise(SIGSEGV), testing::KilledBySignal(SIGSEGV), "");
}

}  // namespace
}  // namespace millrace
