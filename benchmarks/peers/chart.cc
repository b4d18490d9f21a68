#include "benchmarks/peers/chart.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace zdd {
namespace {

constexpr int kMargin = 16;
constexpr int kNames = 130;   // the width of the names of rows
constexpr int kColumn = 140;  // of a column: a bar, and its figure behind it
constexpr int kBar = 74;      // of the longest bar
constexpr int kTop = 104;     // where the rows begin
constexpr int kRow = 28;
constexpr int kThick = 14;

// Greys that do on white and on black, where a viewer does not tell which it is.
constexpr absl::string_view kStyle = R"(<style>
text { font: 12px system-ui, sans-serif; fill: #737c87 }
.title { font-size: 16px; font-weight: 600 }
.small { font-size: 11px }
.strong { font-weight: 600 }
.other { fill: #8c959f }
.ours { fill: #2f81f7 }
.rule { stroke: #8c959f; stroke-opacity: .4 }
@media (prefers-color-scheme: light) { text { fill: #424a53 } .small { fill: #656d76 } }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } .small { fill: #8b949e } }
</style>
)";

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Text(int x, int y, absl::string_view style, absl::string_view text) {
  return absl::StrFormat("<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, style,
                         Escaped(text));
}

bool IsOurs(const ChartRow& row) { return absl::StartsWith(row.name, "zdd"); }

double Value(const ChartRow& row, size_t column) {
  return column < row.values.size() ? row.values[column] : 0;
}

double Most(const Chart& chart, size_t column) {
  double most = 0;
  for (const ChartRow& row : chart.rows) most = std::max(most, Value(row, column));
  return most;
}

int ColumnX(size_t column) { return kMargin + kNames + static_cast<int>(column) * kColumn; }

std::string Bar(const Chart& chart, const ChartRow& row, size_t column, int y) {
  const double value = Value(row, column);
  const double most = Most(chart, column);
  // What is not nothing is seen.
  const double length = value <= 0 ? 0 : std::max(1.0, kBar * value / most);
  const int x = ColumnX(column);
  return absl::StrCat(
      absl::StrFormat(
          "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n", x, y,
          length, kThick, IsOurs(row) ? "ours" : "other"),
      Text(x + static_cast<int>(length) + 5, y + kThick - 3, IsOurs(row) ? "strong" : "",
           absl::StrFormat("%.*f", chart.columns[column].decimals, value)));
}

std::string Row(const Chart& chart, const ChartRow& row, int y) {
  std::string svg = Text(kMargin, y + kThick - 3, IsOurs(row) ? "strong" : "", row.name);
  for (size_t column = 0; column < chart.columns.size(); ++column) {
    absl::StrAppend(&svg, Bar(chart, row, column, y));
  }
  return svg;
}

std::string Head(const Chart& chart, int width) {
  std::string svg = Text(kMargin, 28, "title", chart.title);
  absl::StrAppend(&svg, Text(kMargin, 46, "small", chart.subtitle));
  for (size_t column = 0; column < chart.columns.size(); ++column) {
    absl::StrAppend(&svg, Text(ColumnX(column), 74, "strong", chart.columns[column].title),
                    Text(ColumnX(column), 89, "small", chart.columns[column].subtitle));
  }
  absl::StrAppendFormat(&svg, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"rule\"/>\n",
                        kMargin, kTop - 8, width - kMargin, kTop - 8);
  return svg;
}

}  // namespace

std::string ToSvg(const Chart& chart) {
  const int width = ColumnX(chart.columns.size()) + kMargin;
  const int height = kTop + static_cast<int>(chart.rows.size()) * kRow + kMargin;
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
      "role=\"img\">\n<title>%s</title>\n",
      width, height, width, height, Escaped(chart.title));
  absl::StrAppend(&svg, kStyle, Head(chart, width));
  int y = kTop;
  for (const ChartRow& row : chart.rows) {
    absl::StrAppend(&svg, Row(chart, row, y));
    y += kRow;
  }
  return svg + "</svg>\n";
}

}  // namespace zdd
