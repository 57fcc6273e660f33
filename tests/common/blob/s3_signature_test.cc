#include "common/blob/s3_signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::EndsWith;

// The examples of the S3 API reference: their keys, their time, their signatures.
std::string Authorization(S3Request request) {
  request.host = "examplebucket.s3.amazonaws.com";
  const S3Credentials credentials = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  const absl::Time time = absl::FromCivil(absl::CivilSecond(2013, 5, 24), absl::UTCTimeZone());
  return SignS3Request(request, credentials, "us-east-1", time).at("authorization");
}

TEST(S3Signature, OfAGetWithARangeIsTheReferences) {
  S3Request request;
  request.method = "GET";
  request.path = "/test.txt";
  request.headers["range"] = "bytes=0-9";
  EXPECT_EQ(Authorization(request),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(S3Signature, OfAPutIsTheReferences) {
  S3Request request;
  request.method = "PUT";
  request.path = "/test$file.text";
  request.headers["date"] = "Fri, 24 May 2013 00:00:00 GMT";
  request.headers["x-amz-storage-class"] = "REDUCED_REDUNDANCY";
  request.payload = Sha256Of("Welcome to Amazon S3.");
  EXPECT_THAT(Authorization(request),
              EndsWith("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(S3Signature, OfAQueryWithoutAValueIsTheReferences) {
  S3Request request;
  request.method = "GET";
  request.path = "/";
  request.query["lifecycle"] = "";
  EXPECT_THAT(Authorization(request),
              EndsWith("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST(S3Signature, OfAListIsTheReferences) {
  S3Request request;
  request.method = "GET";
  request.path = "/";
  request.query = {{"max-keys", "2"}, {"prefix", "J"}};
  EXPECT_THAT(Authorization(request),
              EndsWith("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(S3Signature, CoversTheSessionToken) {
  S3Request request;
  request.method = "GET";
  request.path = "/x";
  const auto headers = SignS3Request(request, {"a", "s", "token"}, "eu-west-1", absl::UnixEpoch());
  EXPECT_EQ(headers.at("x-amz-security-token"), "token");
  EXPECT_THAT(headers.at("authorization"), testing::HasSubstr("x-amz-date;x-amz-security-token,"));
}

TEST(S3Encoding, KeepsSlashesInPathsOnly) {
  EXPECT_EQ(S3EncodePath("/a b/c+d~"), "/a%20b/c%2Bd~");
  EXPECT_EQ(S3EncodeQuery({{"prefix", "a/b"}, {"list-type", "2"}}), "list-type=2&prefix=a%2Fb");
}

}  // namespace
}  // namespace millrace
