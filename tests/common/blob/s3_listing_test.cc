#include "common/blob/s3_listing.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

constexpr char kPage[] =
    R"(<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">)"
    R"(<Name>b</Name><Prefix>p/</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>)"
    R"(<Contents><Key>p/a&amp;b</Key><Size>12</Size></Contents>)"
    R"(<Contents><Key>p/c</Key><ETag>&quot;e&quot;</ETag><Size>0</Size></Contents>)"
    R"(<NextContinuationToken>1/&lt;x&gt;==</NextContinuationToken></ListBucketResult>)";

TEST(S3Page, HasKeysSizesAndTheToken) {
  const auto page = ParseS3Page(kPage);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->objects, (std::vector<BlobInfo>{{"p/a&b", 12}, {"p/c", 0}}));
  EXPECT_EQ(page->continuation_token, "1/<x>==");
}

TEST(S3Page, OfAnEmptyBucketHasNone) {
  const auto page = ParseS3Page("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_TRUE(page->objects.empty());
  EXPECT_EQ(page->continuation_token, "");
}

TEST(S3Page, OfSomethingElseIsRefused) {
  const std::string page = kPage;
  for (size_t cut = 0; cut < page.size() - 1; ++cut) {
    EXPECT_FALSE(ParseS3Page(page.substr(0, cut)).ok()) << cut;
  }
  const std::string open = "<ListBucketResult>", close = "</ListBucketResult>";
  EXPECT_FALSE(ParseS3Page(open + "<Contents><Key>a</Key></Contents>" + close).ok());
  EXPECT_FALSE(ParseS3Page(open + "<Contents><Key>a</Key><Size>-1</Size></Contents>" + close).ok());
  EXPECT_FALSE(ParseS3Page(open + "<IsTruncated>true</IsTruncated>" + close).ok());
  EXPECT_FALSE(ParseS3Page("<html>Bad gateway</html>").ok());
}

TEST(S3Error, NamesCodeAndMessage) {
  EXPECT_EQ(S3ErrorText("<Error><Code>NoSuchKey</Code><Message>It is not there.</Message></Error>"),
            "NoSuchKey: It is not there.");
  EXPECT_EQ(S3ErrorText("Bad gateway"), "");
}

}  // namespace
}  // namespace millrace
