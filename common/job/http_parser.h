// What a job file says of a service that is spoken to over HTTP: its URL, and headers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/job/yaml_reader.h"
#include "common/job/yaml_tree.h"

namespace millrace {

inline constexpr size_t kMaxUrlBytes = 2048;
inline constexpr size_t kMaxHttpHeaders = 32;
inline constexpr size_t kMaxHttpHeaderValueBytes = 4096;

std::string ParseHttpUrl(const YamlNode& value, std::string_view field, std::string_view example,
                         YamlReader* reader);
// Names are as in the file, each once, and none of those that are set here; values may have secrets in them
// (common/http/secret_text.h).
std::vector<std::pair<std::string, std::string>> ParseHttpHeaders(const YamlNode& value, YamlReader* reader);

}  // namespace millrace
