// The numbers that our subjects and consumer names carry.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// Takes the number in front of the next dot, and the dot. False: there is none.
bool TakeNumber(std::string_view* text, uint64_t* number);

// "<hint>-<suffix>-<reader>-<attempt>": a message tells its reader by its consumer's name only.
bool ParseConsumer(std::string_view name, uint64_t* reader, uint64_t* attempt);

}  // namespace millrace
