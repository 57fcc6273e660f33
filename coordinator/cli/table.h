// Text tables for people: columns as wide as their widest cell, numbers to the right.
#pragma once

#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace millrace {

struct TableColumn {
  std::string field;  // of the JSON row
  std::string title;
};

// The rows (JSON objects) under their titles; a missing or null field is `-`, control characters are escaped.
// kColor makes the titles bold.
enum class TableStyle { kPlain, kColor };
std::string FormatTable(const std::vector<TableColumn>& columns, const nlohmann::ordered_json& rows,
                        TableStyle style);

}  // namespace millrace
