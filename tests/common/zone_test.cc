#include "common/zone.h"

#include <gtest/gtest.h>

#include <string>

namespace millrace {
namespace {

TEST(Zone, IsWhatMachinesAreCalled) {
  for (const char* zone : {"a", "eu-west-1a", "rack_7", "node1.cluster.example", "10.0.0.7"}) {
    EXPECT_TRUE(IsValidZone(zone)) << zone;
  }
  EXPECT_TRUE(IsValidZone(std::string(kMaxZoneBytes, 'z')));
}

TEST(Zone, HasNoBlanksAndAnEnd) {
  for (const char* zone : {"", "eu west", "zone\n", "zone/a", "z\xc3\xb6ne"}) {
    EXPECT_FALSE(IsValidZone(zone)) << zone;
  }
  EXPECT_FALSE(IsValidZone(std::string(kMaxZoneBytes + 1, 'z')));
}

}  // namespace
}  // namespace millrace
