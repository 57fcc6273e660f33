// What can happen to a file behind its owner's back. Each says what was done, for people; empty: it could not be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace millrace::chaos {

// One bit of it, by the seed.
std::string FlipBit(const std::filesystem::path& file, uint64_t seed);
// Up to 4 KiB of its end, by the seed.
std::string TearTail(const std::filesystem::path& file, uint64_t seed);

}  // namespace millrace::chaos
