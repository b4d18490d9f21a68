// Chart is rows of bars, a few figures for each row, drawn as SVG: no fonts or scripts from
// elsewhere, and legible on light and on dark.
//
//   Chart chart = {"Title", "where and when", {{"failed", "of all", 0}}, {{"nginx", {61}}}};
//   std::ofstream("peers.svg") << ToSvg(chart);
//
// Threads, lifetime: plain values; pure. Errors: none.
#ifndef BENCHMARKS_PEERS_CHART_H_
#define BENCHMARKS_PEERS_CHART_H_

#include <string>
#include <vector>

namespace zdd {

struct ChartColumn {
  std::string title;
  std::string subtitle;
  int decimals = 0;
};

struct ChartRow {
  std::string name;
  std::vector<double> values;  // one for each column, not negative
};

struct Chart {
  std::string title;
  std::string subtitle;
  std::vector<ChartColumn> columns;  // each with a scale of its own, from 0
  std::vector<ChartRow> rows;        // whose name begins with "zdd" is drawn in colour
};

std::string ToSvg(const Chart& chart);

}  // namespace zdd

#endif  // BENCHMARKS_PEERS_CHART_H_
