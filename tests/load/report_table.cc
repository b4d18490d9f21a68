#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/load/report.h"

namespace zdd {
namespace {

// "3 reset, 1 raced": what was lost, by kind.
std::string LostText(const LoadGroupReport& group) {
  std::vector<std::string> kinds;
  for (int i = 1; i < kLoadOutcomeCount; ++i) {
    if (group.outcomes[i] == 0) continue;
    kinds.push_back(
        absl::StrCat(group.outcomes[i], " ", LoadOutcomeName(static_cast<LoadOutcome>(i))));
  }
  return absl::StrJoin(kinds, ", ");
}

std::string Row(const LoadGroupReport& group) {
  const auto short_of = [](const Histogram& latency, double percent) {
    return latency.count() == 0 ? "-" : ShortDuration(latency.Percentile(percent));
  };
  std::string row = absl::StrFormat("%-28s %10d %6d %7d %9s %9s %9s %9s %9s %9s", group.name,
                                    group.started, group.lost(), group.reconnects(),
                                    short_of(group.steady, 50), short_of(group.steady, 99),
                                    short_of(group.steady, 100), short_of(group.around, 50),
                                    short_of(group.around, 99), short_of(group.around, 100));
  if (group.lost() > 0) absl::StrAppend(&row, "  ", LostText(group));
  return row;
}

}  // namespace

std::string LoadReport::ToTable() const {
  std::string table =
      absl::StrFormat("%-28s %10s %6s %7s %9s %9s %9s %9s %9s %9s\n", "", "requests", "lost",
                      "moved on", "p50", "p99", "max", "p50", "p99", "max");
  for (const LoadGroupReport& group : groups) absl::StrAppend(&table, Row(group), "\n");
  absl::StrAppend(&table, Row(Sum()), "\n");
  for (const std::string& loss : losses) absl::StrAppend(&table, "lost: ", loss, "\n");
  return table;
}

}  // namespace zdd
