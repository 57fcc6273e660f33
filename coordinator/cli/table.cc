#include "coordinator/cli/table.h"

#include <algorithm>

#include "common/escape.h"
#include "common/strings.h"
#include "common/value/json_text.h"

namespace millrace {
namespace {

struct Cell {
  std::string text;
  bool right = false;
};

// Columns, not bytes: continuation bytes of UTF-8 take no room of their own.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                           [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

Cell CellOf(const nlohmann::ordered_json& row, const std::string& field) {
  const auto found = row.find(field);
  if (found == row.end() || found->is_null()) return {"-", false};
  if (found->is_string()) {
    const auto& text = found->get_ref<const std::string&>();
    return {text.empty() ? "-" : EscapeControls(text), false};
  }
  return {EscapeControls(JsonText(*found)), found->is_number()};
}

void AppendCell(const Cell& cell, size_t width, bool last, std::string* line) {
  const std::string padding(width - Width(cell.text), ' ');
  if (cell.right) {
    *line += padding + cell.text;
  } else {
    *line += cell.text;
    if (!last) *line += padding;
  }
  if (!last) *line += "  ";
}

}  // namespace

std::string FormatTable(const std::vector<TableColumn>& columns, const nlohmann::ordered_json& rows,
                        TableStyle style) {
  std::vector<size_t> widths;
  std::vector<bool> numeric(columns.size(), false);
  std::vector<std::vector<Cell>> cells;
  for (const TableColumn& column : columns) widths.push_back(Width(column.title));
  for (const auto& row : rows) {
    std::vector<Cell>& line = cells.emplace_back();
    for (size_t i = 0; i < columns.size(); ++i) {
      line.push_back(CellOf(row, columns[i].field));
      widths[i] = std::max(widths[i], Width(line[i].text));
      if (line[i].right) numeric[i] = true;
    }
  }
  std::string text;
  if (style == TableStyle::kColor) text += "\x1b[1m";
  for (size_t i = 0; i < columns.size(); ++i) {
    AppendCell({columns[i].title, numeric[i]}, widths[i], i + 1 == columns.size(), &text);
  }
  if (style == TableStyle::kColor) text += "\x1b[0m";
  text += '\n';
  for (std::vector<Cell>& line : cells) {
    for (size_t i = 0; i < columns.size(); ++i) {
      line[i].right = numeric[i];
      AppendCell(line[i], widths[i], i + 1 == columns.size(), &text);
    }
    text += '\n';
  }
  return text;
}

}  // namespace millrace
