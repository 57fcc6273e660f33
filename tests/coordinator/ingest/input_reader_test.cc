#include "coordinator/ingest/input_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A named pipe with somebody at its other end.
class Pipe {
 public:
  explicit Pipe(const std::string& path) : path_(path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    fd_ = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }
  ~Pipe() { close(fd_); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void Write(std::string_view text) {
    EXPECT_EQ(write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  int fd_ = -1;
};

class InputReaderTest : public testing::Test {
 protected:
  InputReaderTest() {
    std::string pattern = testing::TempDir() + "/input-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~InputReaderTest() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name, std::string_view content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  // Appends a gzip member.
  std::string GzipFile(const std::string& name, std::string_view content) {
    const std::string path = folder_ + "/" + name;
    gzFile file = gzopen(path.c_str(), "ab");
    gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    gzclose(file);
    return path;
  }

  // Every event as text: "line@begin-end", with "!" and the size when it is too long, "#" before a header.
  static std::vector<std::string> ReadAll(const std::vector<std::string>& names,
                                          const InputOptions& options = {}) {
    const auto reader = InputReader::Open(names, options);
    if (!reader.ok()) return {std::string(ToStd(reader.status().message()))};
    std::vector<std::string> seen;
    while (true) {
      InputLine line;
      const auto event = (*reader)->Next(&line);
      if (!event.ok()) {
        seen.emplace_back(ToStd(event.status().message()));
        return seen;
      }
      if (*event == InputReader::Event::kEnd) return seen;
      std::string text(line.text);
      if (*event == InputReader::Event::kTooLong) text = StrCat("!", line.text_bytes);
      if (*event == InputReader::Event::kHeader) text = "#" + text;
      seen.push_back(StrCat(text, "@", line.begin, "-", line.end));
    }
  }

  std::string folder_;
};

TEST_F(InputReaderTest, CountsPositionsThroughAllFiles) {
  EXPECT_THAT(ReadAll({File("a", "one\ntwo"), File("b", "three\r\n\n\r\nfour\n")}),
              ElementsAre("one@0-4", "two@4-7", "three@7-14", "four@17-22"));
}

TEST_F(InputReaderTest, FindsNothingInEmptyFiles) {
  EXPECT_THAT(ReadAll({File("a", ""), File("b", "\n\n")}), ElementsAre());
}

TEST_F(InputReaderTest, ReadsGzipInSeveralMembers) {
  GzipFile("a.gz", "one\ntw");
  EXPECT_THAT(ReadAll({GzipFile("a.gz", "o\nthree\n")}), ElementsAre("one@0-4", "two@4-8", "three@8-14"));
}

TEST_F(InputReaderTest, SaysWhenGzipIsCutOff) {
  const std::string path = GzipFile("a.gz", "one\ntwo\n");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4);
  const auto seen = ReadAll({path});
  ASSERT_FALSE(seen.empty());
  EXPECT_THAT(seen.back(), HasSubstr("ends in the middle"));
}

TEST_F(InputReaderTest, PassesOverALongLine) {
  const std::string longest(1000, 'x');
  InputOptions options;
  options.max_line_bytes = 1000;
  const std::string content = longest + "\r\n" + longest + "x\n" + std::string(3'000'000, 'y') + "\r\nend";
  EXPECT_THAT(
      ReadAll({File("a", content)}, options),
      ElementsAre(longest + "@0-1002", "!1001@1002-2004", "!3000000@2004-3002006", "end@3002006-3002009"));
}

TEST_F(InputReaderTest, TellsEachFilesHeader) {
  InputOptions options;
  options.has_header = true;
  EXPECT_THAT(ReadAll({File("a", "h\n1\n"), File("b", "k\n2\n")}, options),
              ElementsAre("#h@0-2", "1@2-4", "#k@4-6", "2@6-8"));
}

TEST_F(InputReaderTest, StartsWhereItIsTold) {
  const std::vector<std::string> plain = {File("a", "one\ntwo\n"), File("b", "three\nfour\n")};
  const std::vector<std::string> packed = {GzipFile("c.gz", "one\ntwo\n"), GzipFile("d.gz", "three\nfour\n")};
  const std::vector<std::pair<uint64_t, std::string>> starts = {
      {0, "one@0-4"}, {4, "two@4-8"}, {8, "three@8-14"}, {14, "four@14-19"}};
  for (const auto& names : {plain, packed}) {
    for (const auto& [start, first] : starts) {
      InputOptions options;
      options.start = start;
      const auto seen = ReadAll(names, options);
      ASSERT_FALSE(seen.empty()) << start;
      EXPECT_EQ(seen.front(), first);
      EXPECT_EQ(seen.back(), "four@14-19");
    }
  }
}

TEST_F(InputReaderTest, KeepsTheHeaderWhenItStartsBehindIt) {
  InputOptions options;
  options.has_header = true;
  options.start = 6;
  EXPECT_THAT(ReadAll({File("a", "h\n1\n2\n3\n")}, options), ElementsAre("#h@0-2", "3@6-8"));
}

TEST_F(InputReaderTest, SaysWhatCannotBeRead) {
  EXPECT_THAT(ReadAll({folder_ + "/none"}), ElementsAre(HasSubstr("No such file")));
  EXPECT_THAT(ReadAll({folder_}), ElementsAre(HasSubstr("Is a directory")));
}

TEST_F(InputReaderTest, TellsInputsApartByBothEnds) {
  const auto identity = [](const std::string& path) {
    return (*InputReader::Open({path}, {}))->Identities().front().digest;
  };
  std::string content(3 << 20, 'a');
  const std::string original = identity(File("a", content));
  EXPECT_EQ(identity(File("b", content)), original);
  content.back() = 'b';
  EXPECT_NE(identity(File("c", content)), original);
  EXPECT_NE(identity(File("d", content + "b")), original);
}

TEST_F(InputReaderTest, APipeThatGivesNothingIsLeftWhenPatienceEnds) {
  const Pipe silent(folder_ + "/silent");
  int asked = 0;
  InputOptions options;
  options.keep_waiting = [&] {
    return ++asked < 2 ? absl::OkStatus() : absl::DeadlineExceededError("nothing came");
  };
  EXPECT_THAT(ReadAll({silent.path()}, options), ElementsAre("nothing came"));
  EXPECT_EQ(asked, 2);
}

TEST_F(InputReaderTest, APipeThatFallsSilentInItsFirstLineIsLeftToo) {
  Pipe silent(folder_ + "/silent");
  silent.Write("half a li");
  InputOptions options;
  options.keep_waiting = [] { return absl::CancelledError("interrupted"); };
  EXPECT_THAT(ReadAll({silent.path()}, options), ElementsAre("interrupted"));
}

TEST_F(InputReaderTest, PipesWithOneHeaderAreToldApartByWhatFollows) {
  InputOptions csv;
  csv.has_header = true;
  const auto digest = [&](const std::string& name, std::string_view content) {
    Pipe pipe(folder_ + "/" + name);
    pipe.Write(content);
    return (*InputReader::Open({pipe.path()}, csv))->Identities().front().digest;
  };
  const std::string first = digest("first", "k,v\na,1\nb,2\n");
  EXPECT_NE(digest("second", "k,v\nb,2\na,1\n"), first);
  EXPECT_EQ(digest("again", "k,v\na,1\n"), first);
}

}  // namespace
}  // namespace millrace
