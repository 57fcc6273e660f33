#include "common/checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/hash/sha256.h"
#include "common/strings.h"

namespace millrace {
namespace {

using testing::HasSubstr;

CheckpointManifest SomeManifest() {
  CheckpointManifest manifest;
  manifest.engine = "0.1.0";
  manifest.job = "delays";
  manifest.id = {Epoch(2), Offset(1745)};
  manifest.created_ms = 1'700'000'000'000;
  manifest.commit.uid = "9f86d081884c7d65";
  manifest.commit.segment = SegmentId(1);
  manifest.commit.partition = PartitionId(3);
  manifest.commit.offset = Offset(1745);
  manifest.commit.input_created_ns = 11;
  manifest.commit.input_cursors = std::string("\0\1\2", 3);
  manifest.commit.result_sequence = 981;
  manifest.commit.state_keys = 40;
  manifest.files = {{"000012.sst", "00000000000000000002-000012.sst", 4096, Hex(Sha256Of("a"))},
                    {"CURRENT", "00000000000000000002-00000000000000001745-CURRENT", 16, Hex(Sha256Of("b"))}};
  return manifest;
}

// The document with a seal that is right for it.
std::string Sealed(const std::string& line) { return StrCat(line, "\nsha256 ", Hex(Sha256Of(line)), "\n"); }

std::string Replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(Manifest, ReadsWhatItWrites) {
  const auto read = DecodeManifest(EncodeManifest(SomeManifest()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, SomeManifest());
  EXPECT_EQ(read->bytes(), 4112u);
}

TEST(Manifest, IsTwoLinesThatPeopleCanRead) {
  const std::string text = EncodeManifest(SomeManifest());
  EXPECT_THAT(
      text, HasSubstr(R"({"millrace_checkpoint":1,"engine":"0.1.0","job":"delays","uid":"9f86d081884c7d65",)"
                      R"("segment":1,"partition":3,"epoch":2,"offset":1745,)"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(Manifest, IsNotReadWhenAByteOfItIsCutOrAnother) {
  const std::string good = EncodeManifest(SomeManifest());
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(good.substr(0, i)).status())) << i;
    for (const int bit : {0, 3, 7}) {
      std::string altered = good;
      altered[i] = static_cast<char>(altered[i] ^ (1 << bit));
      EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(altered).status())) << i << " bit " << bit;
    }
  }
  EXPECT_FALSE(DecodeManifest(good + " ").ok());
}

// What another build, or a hand, may have sealed.
TEST(Manifest, IsRefusedWhenItSaysWhatCannotBe) {
  const std::string text = EncodeManifest(SomeManifest());
  const std::string line = text.substr(0, text.find('\n'));
  ASSERT_TRUE(DecodeManifest(Sealed(line)).ok());
  struct Case {
    const char* what;
    const char* with;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"("millrace_checkpoint":1)", R"("millrace_checkpoint":2)"},
           {R"("millrace_checkpoint":1)", R"("millrace_checkpoint":"1")"},
           {R"("epoch":2)", R"("epoch":-2)"},
           {R"("epoch":2)", R"("ep":2)"},
           {R"("offset":1745)", R"("offset":1746)"},
           {R"("uid":"9f)", R"("uid":"8f)"},
           {R"("segment":1)", R"("segment":0)"},
           {R"("partition":3)", R"("partition":4)"},
           {R"("commit_row":")", R"("commit_row":"AA)"},
           {R"("name":"CURRENT")", R"("name":"../CURRENT")"},
           {R"("name":"CURRENT")", R"("name":"a/CURRENT")"},
           {R"("name":"CURRENT")", R"("name":"000012.sst")"},
           {R"("name":"CURRENT")", R"("name":7)"},
           {R"("bytes":16)", R"("bytes":99999999999999)"},
           {R"("bytes":16)", R"("bytes":"16")"},
           {R"("sha256":")", R"("sha256":"xx)"},
           {R"("object":"0)", R"("object":"/0)"},
       }) {
    const auto read = DecodeManifest(Sealed(Replaced(line, c.what, c.with)));
    EXPECT_TRUE(absl::IsDataLoss(read.status())) << c.with << ": " << read.status();
  }
  for (const char* other : {"", "[]", "17", "null", "{}", "\"x\"", "{\"millrace_checkpoint\":1}"}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(Sealed(other)).status())) << other;
  }
  const size_t files = line.find("\"files\":[") + 9;
  EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(Sealed(line.substr(0, files) + "]}")).status()));
}

}  // namespace
}  // namespace millrace
