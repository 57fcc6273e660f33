// The contract of BlobStore, asked of every adapter with what it really stands on: a directory, an S3 server,
// a JetStream object store.
#include "common/blob/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/blob/directory_store.h"
#include "common/blob/object_store.h"
#include "common/blob/s3_store.h"
#include "common/bus/nats_bus.h"
#include "common/clock.h"
#include "common/strings.h"
#include "tests/support/nats_server.h"
#include "tests/support/s3_server.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string Noise(size_t bytes) {
  std::string noise(bytes, '\0');
  uint32_t x = 12345;
  for (char& c : noise) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  return noise;
}

// A place, and ways to come to it: each Open is as if another process came.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::unique_ptr<BlobStore> Open() = 0;
};

class DirectoryPlace : public Place {
 public:
  DirectoryPlace() {
    std::string folder = (std::filesystem::temp_directory_path() / "millrace-blobs-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  ~DirectoryPlace() override { std::filesystem::remove_all(folder_); }
  std::unique_ptr<BlobStore> Open() override {
    auto store = OpenDirectoryStore(folder_, SystemClock());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

class S3Place : public Place {
 public:
  S3Place() : server_(S3Server::Start()) {}
  bool ok() const { return server_ != nullptr; }
  S3Options Options() const {
    S3Options options;
    options.bucket = S3Server::kBucket;
    options.prefix = "some/where/";
    options.endpoint = server_->endpoint();
    options.credentials = {S3Server::kAccessKey, S3Server::kSecretKey, ""};
    return options;
  }
  std::unique_ptr<BlobStore> Open() override {
    auto store = OpenS3Store(Options(), SystemClock());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

 private:
  std::unique_ptr<S3Server> server_;
};

class ObjectsPlace : public Place {
 public:
  ObjectsPlace() : server_(NatsServer::Start()) {}
  bool ok() const { return server_ != nullptr; }
  std::unique_ptr<Bus> Connect() {
    NatsOptions nats;
    nats.url = server_->url();
    auto bus = ConnectNats(nats, SystemClock());
    EXPECT_TRUE(bus.ok()) << bus.status();
    return *std::move(bus);
  }
  std::unique_ptr<BlobStore> Open() override {
    auto store = OpenObjectStore({"checkpoints", 1, ++opened_}, Connect(), SystemClock());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  NatsServer& server() { return *server_; }

 private:
  std::unique_ptr<NatsServer> server_;
  uint64_t opened_ = 0;
};

class BlobStoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "directory") {
      place_ = std::make_unique<DirectoryPlace>();
    } else if (GetParam() == "s3") {
      if (!S3Server::Available())
        GTEST_SKIP() << "NOT TESTED: there is no S3 server here (MILLRACE_S3_SERVER)";
      auto place = std::make_unique<S3Place>();
      ASSERT_TRUE(place->ok());
      place_ = std::move(place);
    } else {
      auto place = std::make_unique<ObjectsPlace>();
      ASSERT_TRUE(place->ok());
      place_ = std::move(place);
    }
    store_ = place_->Open();
  }

  std::unique_ptr<Place> place_;
  std::unique_ptr<BlobStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Adapters, BlobStoreTest, testing::Values("directory", "s3", "objects"),
                         [](const auto& adapter) { return adapter.param; });

TEST_P(BlobStoreTest, GivesBackWhatWasPutInAnyProcess) {
  // Around the size of a chunk of the object store, and nothing at all.
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{131071}, size_t{131072}, size_t{131073}, size_t{3'000'000}}) {
    const std::string name = StrCat("uid/0-1/", bytes, ".sst");
    const std::string noise = Noise(bytes);
    ASSERT_TRUE(store_->Put(name, noise).ok()) << bytes;
    const auto got = ReadBlob(*place_->Open(), name, 1 << 30);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_TRUE(*got == noise) << bytes;
    EXPECT_EQ(*store_->Head(name), (BlobInfo{name, bytes}));
  }
}

TEST_P(BlobStoreTest, SaysThatNothingIsThere) {
  EXPECT_TRUE(absl::IsNotFound(ReadBlob(*store_, "a/b", 100).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->Head("a/b").status()));
  EXPECT_THAT(*store_->List(""), IsEmpty());
  EXPECT_THAT(*store_->List("a/"), IsEmpty());
  EXPECT_TRUE(store_->Delete("a/b").ok());
}

TEST_P(BlobStoreTest, ListsByPrefixInOrderOfName) {
  for (const char* name : {"a/2", "a/10", "a/b/c", "ab", "b"}) ASSERT_TRUE(store_->Put(name, name).ok());
  EXPECT_THAT(*store_->List(""), ElementsAre(BlobInfo{"a/10", 4}, BlobInfo{"a/2", 3}, BlobInfo{"a/b/c", 5},
                                             BlobInfo{"ab", 2}, BlobInfo{"b", 1}));
  EXPECT_THAT(*place_->Open()->List("a/"),
              ElementsAre(BlobInfo{"a/10", 4}, BlobInfo{"a/2", 3}, BlobInfo{"a/b/c", 5}));
  EXPECT_THAT(*store_->List("a/b/"), ElementsAre(BlobInfo{"a/b/c", 5}));
}

TEST_P(BlobStoreTest, ReplacesWhole) {
  ASSERT_TRUE(store_->Put("a/x", Noise(300'000)).ok());
  ASSERT_TRUE(place_->Open()->Put("a/x", "short").ok());
  EXPECT_EQ(*ReadBlob(*store_, "a/x", 100), "short");
  EXPECT_THAT(*store_->List(""), ElementsAre(BlobInfo{"a/x", 5}));
}

TEST_P(BlobStoreTest, DeletesForEveryProcess) {
  ASSERT_TRUE(store_->Put("a/x", "1").ok());
  ASSERT_TRUE(store_->Put("a/y", "2").ok());
  ASSERT_TRUE(place_->Open()->Delete("a/x").ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Head("a/x").status()));
  EXPECT_THAT(*store_->List("a/"), ElementsAre(BlobInfo{"a/y", 1}));
  ASSERT_TRUE(store_->Put("a/x", "again").ok());
  EXPECT_EQ(*ReadBlob(*store_, "a/x", 100), "again");
}

TEST_P(BlobStoreTest, StopsWhereTheReaderStops) {
  ASSERT_TRUE(store_->Put("a", Noise(1'000'000)).ok());
  size_t pieces = 0;
  const absl::Status status = store_->Get("a", [&](std::string_view) {
    ++pieces;
    return absl::CancelledError("enough");
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(pieces, 1u);
  EXPECT_TRUE(absl::IsResourceExhausted(ReadBlob(*store_, "a", 1000).status()));
}

TEST_P(BlobStoreTest, RefusesNamesThatAreNone) {
  for (const char* name : {"", "/a", "a/../b", "a b", ".x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(store_->Put(name, "x"))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(store_->Delete(name))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(store_->Head(name).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(ReadBlob(*store_, name, 1).status())) << name;
  }
}

TEST_P(BlobStoreTest, ShowsWritersAtOnceNeverAPart) {
  const std::string one(400'000, '1'), two(400'000, '2');
  ASSERT_TRUE(store_->Put("a/x", one).ok());
  std::thread writer([&, store = place_->Open()] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(store->Put("a/x", i % 2 == 0 ? two : one).ok());
  });
  for (int i = 0; i < 20; ++i) {
    // An object that is replaced while it is read may fail to be read; it is never mixed.
    const auto got = ReadBlob(*store_, "a/x", 1 << 20);
    EXPECT_TRUE(!got.ok() || *got == one || *got == two);
    const auto head = store_->Head("a/x");
    EXPECT_TRUE(head.ok() && head->bytes == one.size()) << head.status();
  }
  writer.join();
}

TEST(DirectoryStore, RemovesOldLeavingsOnly) {
  DirectoryPlace place;
  const auto store = place.Open();
  ASSERT_TRUE(store->Put("a/x", "1").ok());
  std::ofstream(place.folder() + "/.tmp/123-4-5") << "cut off";
  EXPECT_THAT(*store->List(""), ElementsAre(BlobInfo{"a/x", 1}));
  ASSERT_TRUE(store->Tidy(absl::Hours(1)).ok());
  EXPECT_TRUE(std::filesystem::exists(place.folder() + "/.tmp/123-4-5"));
  ASSERT_TRUE(store->Tidy(-absl::Seconds(1)).ok());
  EXPECT_FALSE(std::filesystem::exists(place.folder() + "/.tmp/123-4-5"));
  EXPECT_EQ(*ReadBlob(*store, "a/x", 9), "1");
}

TEST(DirectoryStore, LeavesNoEmptyFolder) {
  DirectoryPlace place;
  const auto store = place.Open();
  ASSERT_TRUE(store->Put("a/b/x", "1").ok());
  ASSERT_TRUE(store->Put("a/y", "1").ok());
  ASSERT_TRUE(store->Delete("a/b/x").ok());
  EXPECT_FALSE(std::filesystem::exists(place.folder() + "/a/b"));
  EXPECT_TRUE(std::filesystem::exists(place.folder() + "/a/y"));
}

TEST(ObjectStore, LeavesNothingInTheStreamBehind) {
  ObjectsPlace place;
  ASSERT_TRUE(place.ok());
  const auto store = place.Open();
  ASSERT_TRUE(store->Put("a", Noise(300'000)).ok());
  ASSERT_TRUE(store->Put("a", Noise(10)).ok());
  const auto bus = place.Connect();
  EXPECT_EQ(bus->GetStream("OBJ_checkpoints")->messages, 2u);  // one chunk, one description
  ASSERT_TRUE(store->Delete("a").ok());
  EXPECT_EQ(bus->GetStream("OBJ_checkpoints")->messages, 0u);
}

TEST(ObjectStore, RemovesOldChunksThatNoDescriptionNames) {
  ObjectsPlace place;
  ASSERT_TRUE(place.ok());
  const auto store = place.Open();
  ASSERT_TRUE(store->Put("a", Noise(10)).ok());
  const auto bus = place.Connect();
  AppendRequest chunk;
  chunk.subject = "$O.checkpoints.C.cutoff";
  chunk.payload = "x";
  ASSERT_TRUE(bus->AppendAndWait(chunk).ok());
  ASSERT_TRUE(store->Tidy(absl::Hours(1)).ok());
  EXPECT_EQ(bus->GetStream("OBJ_checkpoints")->messages, 3u);
  ASSERT_TRUE(store->Tidy(-absl::Seconds(1)).ok());
  EXPECT_EQ(bus->GetStream("OBJ_checkpoints")->messages, 2u);
  EXPECT_TRUE(*ReadBlob(*store, "a", 100) == Noise(10));
}

TEST(ObjectStore, TellsAnObjectWhoseChunksAreOthers) {
  ObjectsPlace place;
  ASSERT_TRUE(place.ok());
  const auto store = place.Open();
  const auto bus = place.Connect();
  ASSERT_TRUE(store->Put("a", "right").ok());
  const auto put = [&](std::string_view json) {
    AppendRequest info;
    info.subject = "$O.checkpoints.M.YQ==";
    info.payload = json;
    info.replaces_subject = true;
    ASSERT_TRUE(bus->AppendAndWait(info).ok());
  };
  put(R"({"name":"a","bucket":"checkpoints","nuid":"none","size":5,"chunks":1,"digest":"SHA-256=x"})");
  EXPECT_TRUE(absl::IsDataLoss(ReadBlob(*store, "a", 100).status()));
  put("no description");
  EXPECT_TRUE(absl::IsDataLoss(ReadBlob(*store, "a", 100).status()));
  EXPECT_THAT(*store->List(""), IsEmpty());
  EXPECT_TRUE(store->Delete("a").ok());
  EXPECT_TRUE(absl::IsNotFound(store->Head("a").status()));
}

TEST(ObjectStore, RefusesAStreamThatIsNone) {
  ObjectsPlace place;
  ASSERT_TRUE(place.ok());
  auto bus = place.Connect();
  StreamConfig config;
  config.name = "OBJ_checkpoints";
  config.subjects = {"something.else"};
  ASSERT_TRUE(bus->CreateStream(config).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      OpenObjectStore({"checkpoints", 1, 1}, std::move(bus), SystemClock()).status()));
}

TEST(S3StoreErrors, AreNamed) {
  if (!S3Server::Available()) GTEST_SKIP() << "NOT TESTED: there is no S3 server here (MILLRACE_S3_SERVER)";
  S3Place place;
  ASSERT_TRUE(place.ok());
  S3Options options = place.Options();
  options.credentials.secret_key = "wrong";
  EXPECT_TRUE(absl::IsPermissionDenied((*OpenS3Store(options, SystemClock()))->Put("a", "x")));
  options = place.Options();
  options.bucket = "another";
  const absl::Status status = (*OpenS3Store(options, SystemClock()))->Put("a", "x");
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST(S3StoreErrors, OfAServerThatIsAwayComeAfterSomeTries) {
  S3Options options;
  options.bucket = "b";
  options.endpoint = "http://127.0.0.1:1";
  options.credentials = {"a", "b", ""};
  ManualClock clock;
  const absl::Status status = (*OpenS3Store(options, clock))->Put("a", "x");
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_GT(clock.Monotonic(), kS3FirstPause * 7);  // of 15 pauses' lengths, half for certain
  EXPECT_LE(clock.Monotonic(), kS3FirstPause * 15);
}

}  // namespace
}  // namespace millrace
