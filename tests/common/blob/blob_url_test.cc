#include "common/blob/blob_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/strings.h"
#include "tests/support/memory_bus.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

using UrlKind = BlobUrl::Kind;
using testing::HasSubstr;

TEST(BlobUrl, IsADirectory) {
  for (const char* text : {"/var/lib/ckpt", "file:///var/lib/ckpt"}) {
    EXPECT_EQ(*ParseBlobUrl(text), (BlobUrl{UrlKind::kDirectory, "/var/lib/ckpt", "", "", "", ""})) << text;
  }
  EXPECT_EQ(ParseBlobUrl("here/below")->path, "here/below");
}

TEST(BlobUrl, IsAnS3Bucket) {
  EXPECT_EQ(*ParseBlobUrl("s3://b"), (BlobUrl{UrlKind::kS3, "", "b", "", "", ""}));
  EXPECT_EQ(*ParseBlobUrl("s3://my.bucket/a/b/?endpoint=http://127.0.0.1:9000&region=eu-west-1"),
            (BlobUrl{UrlKind::kS3, "", "my.bucket", "a/b/", "http://127.0.0.1:9000", "eu-west-1"}));
  EXPECT_EQ(ParseBlobUrl("s3://b?endpoint=https%3A%2F%2Fs3.example.com")->endpoint, "https://s3.example.com");
}

TEST(BlobUrl, IsAJetStreamBucket) {
  for (const char* text : {"objects:ckpt_1", "nats://ckpt_1"}) {
    EXPECT_EQ(*ParseBlobUrl(text), (BlobUrl{UrlKind::kObjects, "", "ckpt_1", "", "", ""})) << text;
  }
}

TEST(BlobUrl, SaysInOneLineWhatIsWrong) {
  struct Case {
    const char* text;
    const char* says;
  };
  for (const Case& c :
       {Case{"", "it is a directory"}, Case{"file://relative", "absolute path"}, Case{"flie://b", "try file"},
        Case{"s3://", "has a bucket"}, Case{"s3:///a", "has a bucket"}, Case{"s3://b/../c", "has a bucket"},
        Case{"s3://b?endpoint=", "`endpoint=`"}, Case{"s3://b?key=x", "`key=x`"},
        Case{"nats://127.0.0.1:4222", "--nats"}, Case{"objects:", "objects:checkpoints"}}) {
    const auto url = ParseBlobUrl(c.text);
    ASSERT_EQ(url.status().code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(url.status().message()), HasSubstr(c.says)) << c.text;
    EXPECT_EQ(ToStd(url.status().message()).find('\n'), std::string::npos);
  }
}

TEST(BlobUrl, OfS3NeedsCredentials) {
  BlobEnvironment environment;
  environment.variable = [](const char*) { return std::string(); };
  const auto store = OpenBlobStore(*ParseBlobUrl("s3://b"), environment, SystemClock());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("AWS_ACCESS_KEY_ID"));
}

TEST(BlobUrl, WhoOnlyReadsMakesNothing) {
  const TempFolder folder("blob-url");
  ManualClock clock;
  MemoryBroker broker(clock);
  BlobEnvironment environment;
  environment.connect = [&]() -> absl::StatusOr<std::unique_ptr<Bus>> { return broker.Connect(); };
  environment.must_be_there = true;
  const std::string mistyped = folder.path() + "/chekpoints";
  for (const std::string& url : {mistyped, std::string("objects:chekpoints")}) {
    const auto store = OpenBlobStore(*ParseBlobUrl(url), environment, clock);
    EXPECT_TRUE(absl::IsNotFound(store.status())) << store.status();
    EXPECT_THAT(std::string(store.status().message()), HasSubstr("chekpoints"));
  }
  EXPECT_FALSE(std::filesystem::exists(mistyped));
  EXPECT_TRUE(broker.Connect()->ListStreams()->empty());
  EXPECT_TRUE(OpenBlobStore(*ParseBlobUrl(folder.path()), environment, clock).ok());
}

TEST(BlobName, IsPlainParts) {
  for (const char* name : {"a", "a/b.sst", "A-1_2/x/y"}) EXPECT_TRUE(CheckBlobName(name).ok()) << name;
  for (const char* name : {"", "/a", "a/", "a//b", ".", "a/..", "a/.tmp", "a b", "ä", "a\\b"}) {
    EXPECT_FALSE(CheckBlobName(name).ok()) << name;
  }
  EXPECT_FALSE(CheckBlobName(std::string(kMaxBlobNameBytes + 1, 'a')).ok());
}

}  // namespace
}  // namespace millrace
