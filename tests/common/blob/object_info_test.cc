#include "common/blob/object_info.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(ObjectInfo, ReadsWhatItWrites) {
  const ObjectInfo info = {"a/b.sst", "BUCKET", "nuid17", 344000, 3, ObjectDigest(Sha256Of("x")), true};
  EXPECT_EQ(*DecodeObjectInfo(EncodeObjectInfo(info)), info);
}

// As ADR-20 shows it, with the fields that we have no use for.
TEST(ObjectInfo, ReadsWhatOtherClientsWrite) {
  const auto info = DecodeObjectInfo(
      R"({"name":"object-name","description":"d","headers":{"key1":["foo"]},"options":{"max_chunk_size":8196},)"
      R"("bucket":"object-bucket","nuid":"CkuyLEX4z2hbyjj1aWCfiH","size":344000,"chunks":42,)"
      R"("digest":"SHA-256=abcdefghijklmnopqrstuvwxyz=","mtime":"0001-01-01T00:00:00Z"})");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->nuid, "CkuyLEX4z2hbyjj1aWCfiH");
  EXPECT_EQ(info->size, 344000u);
  EXPECT_FALSE(info->deleted);
}

TEST(ObjectInfo, RefusesWhatIsNone) {
  for (const char* text :
       {"", "{", "[]", "17", "{}", R"({"name":3})", R"({"name":"a","size":-1})", R"({"name":"a","size":"1"})",
        R"({"name":"a","nuid":"x.>"})", R"({"name":"a","nuid":"*"})"}) {
    EXPECT_EQ(DecodeObjectInfo(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

TEST(ObjectSubjects, AreThoseOfTheDesign) {
  EXPECT_EQ(ObjectStream("B"), "OBJ_B");
  EXPECT_EQ(ObjectChunkSubject("B", "n1"), "$O.B.C.n1");
  EXPECT_EQ(ObjectMetaSubject("B", "a/b"), "$O.B.M.YS9i");
  EXPECT_EQ(ObjectMetaSubject("B", "~~~?"), "$O.B.M.fn5-Pw==");  // the URL-safe alphabet, with padding
  EXPECT_EQ(ObjectNameOf("B", "$O.B.M.fn5-Pw=="), "~~~?");
  EXPECT_EQ(ObjectNameOf("B", "$O.C.M.YS9i"), std::nullopt);
  EXPECT_EQ(ObjectNameOf("B", "$O.B.M.!"), std::nullopt);
}

TEST(ObjectDigest, IsTheDesigns) {
  EXPECT_EQ(ObjectDigest(Sha256Of("")), "SHA-256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=");
}

TEST(SubjectPurge, IsNotTrustedToOldReplicatedServers) {
  struct Case {
    int replicas;
    const char* version;
    bool safe;
  };
  for (const Case& c : {Case{1, "2.9.10", true}, Case{3, "2.9.10", false}, Case{3, "2.9.20", false},
                        Case{3, "2.9.21", true}, Case{3, "2.10.0-beta.1", true}, Case{3, "2.12.1", true},
                        Case{3, "3.0.0", true}, Case{3, "", false}}) {
    EXPECT_EQ(SubjectPurgeIsSafe(c.replicas, c.version), c.safe) << c.replicas << " " << c.version;
  }
}

}  // namespace
}  // namespace millrace
