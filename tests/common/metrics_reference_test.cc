// docs/metrics.md against the code: every metric that is made stands there with its kind, and no other does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>

namespace {

using Kinds = std::map<std::string, std::string>;  // by name, without the prefix

std::string TextOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Kinds Find(const std::string& text, const std::regex& pattern, size_t name, size_t kind) {
  Kinds found;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) {
    found[(*match)[name]] = (*match)[kind];
  }
  return found;
}

TEST(MetricsReferenceTest, NamesEveryMetricThatIsMade) {
  const std::filesystem::path root = MILLRACE_SOURCE_DIR;
  const std::regex made_at(R"re(Make(Counter|Gauge|Histogram)\(\s*"([a-z_]+)")re");
  Kinds made;
  for (const char* const folder : {"common", "worker", "coordinator"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      for (auto [name, kind] : Find(TextOf(entry.path()), made_at, 2, 1)) {
        std::transform(kind.begin(), kind.end(), kind.begin(),
                       [](unsigned char c) { return std::tolower(c); });
        made[name] = kind;
      }
    }
  }
  EXPECT_GT(made.size(), 40u);
  const std::regex row(R"re(\| `millrace_([a-z_]+)` \| ([a-z]+) \|)re");
  EXPECT_EQ(Find(TextOf(root / "docs/metrics.md"), row, 1, 2), made);
}

}  // namespace
