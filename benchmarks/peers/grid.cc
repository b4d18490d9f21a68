#include "benchmarks/peers/grid.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace zdd {
namespace {

constexpr size_t kNarrowest = 3;  // what Markdown wants of a rule

std::vector<size_t> Widths(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), kNarrowest);
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  return widths;
}

std::string Line(const std::vector<std::string>& row, const std::vector<size_t>& widths) {
  std::string line = "|";
  for (size_t i = 0; i < widths.size(); ++i) {
    const std::string cell = i < row.size() ? row[i] : "";
    const int width = static_cast<int>(widths[i]);
    absl::StrAppendFormat(&line, " %*s |", i == 0 ? -width : width, cell);
  }
  return line + "\n";
}

std::string Rule(const std::vector<size_t>& widths) {
  std::string rule = "|";
  for (size_t i = 0; i < widths.size(); ++i) {
    absl::StrAppend(&rule, " ", std::string(widths[i] - 1, '-'), i == 0 ? "- |" : ": |");
  }
  return rule + "\n";
}

}  // namespace

std::string MarkdownTable(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  const std::vector<size_t> widths = Widths(rows);
  std::string table = Line(rows.front(), widths) + Rule(widths);
  for (size_t i = 1; i < rows.size(); ++i) table += Line(rows[i], widths);
  return table;
}

}  // namespace zdd
