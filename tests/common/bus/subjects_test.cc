#include "common/bus/subjects.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(Subjects, APatternCoversWhatItStandsFor) {
  EXPECT_TRUE(SubjectCovers("flights.>", "flights.us"));
  EXPECT_TRUE(SubjectCovers("flights.>", "flights.us.>"));
  EXPECT_TRUE(SubjectCovers("flights.>", "flights.*"));
  EXPECT_TRUE(SubjectCovers("flights.*", "flights.us"));
  EXPECT_TRUE(SubjectCovers("flights.*.late", "flights.us.late"));
  EXPECT_TRUE(SubjectCovers(">", "flights.>"));
  EXPECT_TRUE(SubjectCovers("flights", "flights"));
}

TEST(Subjects, APatternDoesNotCoverMore) {
  EXPECT_FALSE(SubjectCovers("flights.>", "flights"));
  EXPECT_FALSE(SubjectCovers("flights.*", "flights.us.late"));
  EXPECT_FALSE(SubjectCovers("flights.*", "flights.>"));
  EXPECT_FALSE(SubjectCovers("flights.us", "flights.*"));
  EXPECT_FALSE(SubjectCovers("flights.us", "flights"));
  EXPECT_FALSE(SubjectCovers("flights", "flights.us"));
}

TEST(Subjects, AJobReadsFromSubjectsOfItsUsers) {
  for (const char* good : {"flights", "flights.>", "flights.*.late", "a.b.c", "käse"}) {
    EXPECT_EQ(IsSourceSubject(good), std::string_view(good) != "käse") << good;
  }
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "a b", ">", "*", "*.a", ">.a", "a.>.b", "a*", "a.b>",
                          "mr.j.0.1", "$JS.API", "_INBOX.x", "a\nb"}) {
    EXPECT_FALSE(IsSourceSubject(bad)) << bad;
  }
}

TEST(Subjects, AJobReadsFromStreamsOfItsUsers) {
  EXPECT_TRUE(IsSourceStream("FLIGHTS"));
  EXPECT_TRUE(IsSourceStream("flights_2-a"));
  for (const char* bad : {"", "a.b", "a b", "a*", "mr-j-0-1", "KV_mr-jobs", "OBJ_x", "a/b"}) {
    EXPECT_FALSE(IsSourceStream(bad)) << bad;
  }
}

}  // namespace
}  // namespace millrace
