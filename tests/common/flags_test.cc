#include "common/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/strings.h"
#include "common/version.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Sets a variable of the environment for one test.
class ScopedEnvironment {
 public:
  ScopedEnvironment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~ScopedEnvironment() { unsetenv(name_); }
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  const char* name_;
};

class FlagsTest : public ::testing::Test {
 protected:
  FlagsTest()
      : flags_("coordinator submit JOB.yaml [--input FILE|-]...", "Creates a job.",
               "coordinator submit job.yaml") {
    unsetenv("NATS_URL");
    common_.AddTo(flags_);
    flags_.Add("lease-ttl", &lease_ttl_, "how long a lease lasts");
    flags_.Add("lanes", &lanes_, "N", "threads");
    flags_.Add("from", &from_, "OFFSET", "where to start");
    flags_.Add("input", &inputs_, "FILE", "what to read");
    flags_.Add("output", &output_, "FORMAT", "jsonl, csv or raw");
    flags_.AddShort('o', "output");
    flags_.AddSize("memory", &memory_, "budget");
    flags_.AddSwitch("wait", &wait_, "wait for the end");
    flags_.Positional("JOB.yaml", &job_);
    flags_.Positionals("ID", &ids_);
  }

  std::string Error(const std::vector<std::string>& arguments) {
    const auto outcome = flags_.Parse(arguments);
    EXPECT_EQ(outcome.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message(ToStd(outcome.status().message()));
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }

  std::string WriteConfig(const std::string& text) {
    const std::string path = folder_.path() + "/millrace.conf";
    std::ofstream(path) << text;
    return path;
  }

  const TempFolder folder_{"millrace-flags"};
  CommonOptions common_;
  absl::Duration lease_ttl_ = absl::Seconds(15);
  int64_t lanes_ = 2;
  std::optional<int64_t> from_;
  std::vector<std::string> inputs_;
  std::string output_ = "jsonl";
  uint64_t memory_ = 512 << 20;
  bool wait_ = false;
  std::string job_;
  std::vector<std::string> ids_;
  Flags flags_;
};

TEST_F(FlagsTest, ReadsEveryKindOfFlagFromTheCommandLine) {
  const auto outcome =
      flags_.Parse({"--lease-ttl", "3s", "--lanes=4", "--from", "17", "--input", "a", "--input", "-", "-o",
                    "csv", "--memory", "64KiB", "--wait", "job.yaml", "id1", "id2"});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->proceed);
  EXPECT_EQ(lease_ttl_, absl::Seconds(3));
  EXPECT_EQ(lanes_, 4);
  EXPECT_EQ(from_, 17);
  EXPECT_THAT(inputs_, ElementsAre("a", "-"));
  EXPECT_EQ(output_, "csv");
  EXPECT_EQ(memory_, 65536u);
  EXPECT_TRUE(wait_);
  EXPECT_EQ(job_, "job.yaml");
  EXPECT_THAT(ids_, ElementsAre("id1", "id2"));
}

TEST_F(FlagsTest, KeepsDefaultsOfWhatIsNotGiven) {
  ASSERT_TRUE(flags_.Parse({"job.yaml"}).ok());
  EXPECT_EQ(lease_ttl_, absl::Seconds(15));
  EXPECT_EQ(from_, std::nullopt);
  EXPECT_EQ(common_.nats, "nats://127.0.0.1:4222");
}

TEST_F(FlagsTest, TakesWordsBehindTheTerminatorAsArguments) {
  ASSERT_TRUE(flags_.Parse({"--", "--wait"}).ok());
  EXPECT_EQ(job_, "--wait");
  EXPECT_FALSE(wait_);
}

TEST_F(FlagsTest, CommandLineWinsOverEnvironmentWinsOverConfigFile) {
  const std::string config =
      WriteConfig("# ours\nlease-ttl = 1s\nlanes = 7\noutput = raw\ninput = x\ninput = y\nwait = true\n");
  const ScopedEnvironment lanes("MILLRACE_LANES", "8"), output("MILLRACE_OUTPUT", "csv");
  ASSERT_TRUE(flags_.Parse({"--config", config, "--output", "jsonl", "job.yaml"}).ok());
  EXPECT_EQ(lease_ttl_, absl::Seconds(1));
  EXPECT_EQ(lanes_, 8);
  EXPECT_EQ(output_, "jsonl");
  EXPECT_THAT(inputs_, ElementsAre("x", "y"));
  EXPECT_TRUE(wait_);
}

TEST_F(FlagsTest, HonoursNatsUrlBelowMillraceNats) {
  const ScopedEnvironment url("NATS_URL", "nats://a:1");
  ASSERT_TRUE(flags_.Parse({"job.yaml"}).ok());
  EXPECT_EQ(common_.nats, "nats://a:1");
  const ScopedEnvironment ours("MILLRACE_NATS", "nats://b:2");
  ASSERT_TRUE(flags_.Parse({"job.yaml"}).ok());
  EXPECT_EQ(common_.nats, "nats://b:2");
  ASSERT_TRUE(flags_.Parse({"--nats", "nats://c:3", "job.yaml"}).ok());
  EXPECT_EQ(common_.nats, "nats://c:3");
}

TEST_F(FlagsTest, TakesAnEmptyVariableAsUnset) {
  const ScopedEnvironment lanes("MILLRACE_LANES", "");
  ASSERT_TRUE(flags_.Parse({"job.yaml"}).ok());
  EXPECT_EQ(lanes_, 2);
}

TEST_F(FlagsTest, IgnoresABadValueThatABetterSourceOverrides) {
  const ScopedEnvironment lanes("MILLRACE_LANES", "many");
  EXPECT_TRUE(flags_.Parse({"--lanes", "3", "job.yaml"}).ok());
}

TEST_F(FlagsTest, NamesTheNearMissOfAnUnknownFlag) {
  EXPECT_EQ(Error({"--lease-tll", "3s", "job.yaml"}),
            "--lease-tll: no such flag — did you mean --lease-ttl? — see coordinator submit --help");
  EXPECT_EQ(Error({"--lease", "3s", "job.yaml"}),
            "--lease: no such flag — coordinator submit does not have it — see coordinator submit --help");
  EXPECT_EQ(Error({"-x", "job.yaml"}),
            "-x: no such flag — coordinator submit does not have it — see coordinator submit --help");
}

TEST_F(FlagsTest, RefusesBadValuesAndSaysWhereTheyCameFrom) {
  EXPECT_EQ(Error({"--lease-ttl", "3", "job.yaml"}),
            "--lease-ttl: \"3\" is no duration — it is a number with a unit of ns us ms s m h d — try 250ms "
            "or 1m30s");
  EXPECT_EQ(Error({"--lanes", "two", "job.yaml"}),
            "--lanes: \"two\" is no whole number — it is digits alone — try 10");
  EXPECT_EQ(Error({"--lanes", "1", "--lanes", "2", "job.yaml"}),
            "--lanes: given more than once — it has one value — leave one of them out");
  EXPECT_THAT(Error({"job.yaml", "--memory"}), HasSubstr("--memory: the value is missing"));
  EXPECT_THAT(Error({"--wait=yes", "job.yaml"}), HasSubstr("--wait takes no value"));
  const ScopedEnvironment lanes("MILLRACE_LANES", "many");
  EXPECT_THAT(Error({"job.yaml"}), HasSubstr("MILLRACE_LANES: \"many\" is no whole number"));
}

TEST_F(FlagsTest, RefusesArgumentsThatAreMissingOrTooMany) {
  EXPECT_EQ(
      Error({}),
      "JOB.yaml is missing — the usage is: coordinator submit JOB.yaml [--input FILE|-]... — for example: "
      "coordinator submit job.yaml");
  Flags none("coordinator jobs", "Lists jobs.", "coordinator jobs");
  EXPECT_THAT(std::string(ToStd(none.Parse({"extra"}).status().message())),
              HasSubstr("\"extra\" is one argument too many"));
}

TEST_F(FlagsTest, RefusesABadConfigFile) {
  EXPECT_THAT(Error({"--config", "/nonexistent/x.conf", "job.yaml"}),
              HasSubstr("/nonexistent/x.conf: cannot be read"));
  EXPECT_THAT(Error({"--config", ::testing::TempDir(), "job.yaml"}), HasSubstr("cannot be read"));
  EXPECT_THAT(Error({"--config", WriteConfig("# ours\nlanez = 2\n"), "job.yaml"}),
              HasSubstr(".conf:2: lanez: no such flag — did you mean --lanes?"));
  EXPECT_THAT(Error({"--config", WriteConfig("lanes = 2\n\nwhat is this\n"), "job.yaml"}),
              HasSubstr(".conf:3: \"what is this\" sets nothing — a config file has lines `key = value`"));
  EXPECT_THAT(Error({"--config", WriteConfig("lanes = 2\nlanes = 3\n"), "job.yaml"}),
              HasSubstr(".conf:2: lanes: given more than once"));
  EXPECT_THAT(Error({"--config", WriteConfig("[worker]\n"), "job.yaml"}), HasSubstr(".conf:1: "));
  EXPECT_THAT(Error({"--config", WriteConfig(std::string(2 << 20, 'a')), "job.yaml"}),
              HasSubstr("too large"));
}

TEST_F(FlagsTest, PassesOverWhatAConfigFileSaysToOtherCommandsAlone) {
  Flags offline("coordinator check JOB.yaml", "Checks a job file.", "coordinator check job.yaml");
  offline.AcceptInConfig(flags_);
  EXPECT_TRUE(offline.Parse({"--config", WriteConfig("nats = nats://broker:4222\nlanes = 2\n")}).ok());
  EXPECT_THAT(std::string(ToStd(offline.Parse({"--config", WriteConfig("lanez = 2\n")}).status().message())),
              HasSubstr(".conf:1: lanez: no such flag"));
  EXPECT_FALSE(offline.Parse({"--lanes", "2"}).ok());
  EXPECT_FALSE(offline.Parse({"--config", WriteConfig("config = other.conf\n")}).ok());
}

TEST_F(FlagsTest, ShowsHelpAlsoWhenArgumentsAreMissing) {
  ::testing::internal::CaptureStdout();
  const auto outcome = flags_.Parse({"--help"});
  const std::string text = ::testing::internal::GetCapturedStdout();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->proceed);
  EXPECT_EQ(outcome->exit_code, 0);
  EXPECT_EQ(text, flags_.Help());
  EXPECT_THAT(text, HasSubstr("Usage: coordinator submit JOB.yaml [--input FILE|-]...\n\nCreates a job.\n"));
  EXPECT_THAT(text, HasSubstr("\n  -o, --output FORMAT       jsonl, csv or raw (default: jsonl)\n"));
  EXPECT_THAT(text, HasSubstr("\n      --lease-ttl DURATION  how long a lease lasts (default: 15s)\n"));
  EXPECT_THAT(text, HasSubstr("(default: 512MiB)"));
  EXPECT_THAT(text, HasSubstr("Example:\n  coordinator submit job.yaml\n"));
}

TEST_F(FlagsTest, ShowsTheVersionOfTheExecutable) {
  ::testing::internal::CaptureStdout();
  const auto outcome = flags_.Parse({"--version"});
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), StrCat("coordinator ", kVersion, "\n"));
  ASSERT_TRUE(outcome.ok());
  EXPECT_FALSE(outcome->proceed);
}

TEST_F(FlagsTest, SaysWhereAWordThatIsNotKnownCameFrom) {
  EXPECT_EQ(Error({"--log-level", "debgu", "job.yaml"}),
            "--log-level: \"debgu\" is not known — it is one of info, debug, warning, error — try debug");
  EXPECT_THAT(Error({"--log-format", "xml", "job.yaml"}), HasSubstr("try text"));
  EXPECT_EQ(Error({"--nats", "nowhere", "job.yaml"}).rfind("--nats: \"nowhere\" is no address", 0), 0u);
  const std::string config = WriteConfig("lanes = 3\n\nlog-level = loud # hm\n");
  EXPECT_EQ(
      Error({"--config", config, "job.yaml"}),
      StrCat(config,
             ":3: log-level: \"loud\" is not known — it is one of info, debug, warning, error — try info"));
  const ScopedEnvironment level("MILLRACE_LOG_LEVEL", "loud");
  EXPECT_EQ(Error({"job.yaml"}).rfind("MILLRACE_LOG_LEVEL: \"loud\" is not known", 0), 0u);
}

TEST_F(FlagsTest, TellsAnEmptyTextFromNone) {
  std::optional<std::string> key;
  flags_.Add("key", &key, "K", "only this one");
  ASSERT_TRUE(flags_.Parse({"job.yaml"}).ok());
  EXPECT_EQ(key, std::nullopt);
  ASSERT_TRUE(flags_.Parse({"--key", "", "job.yaml"}).ok());
  EXPECT_EQ(key, "");
}

}  // namespace
}  // namespace millrace
