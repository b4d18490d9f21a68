#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/load/report.h"

namespace zdd {
namespace {

constexpr int kNameWidth = 24;

std::string Name(absl::string_view name) { return absl::StrFormat("%-*s", kNameWidth, name); }

std::string WithCommas(int64_t number) {
  std::string text = absl::StrCat(number);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) text.insert(at, 1, ',');
  return text;
}

std::string Counts(const LoadGroupReport& group) {
  return absl::StrFormat("%10s %6s %10s", WithCommas(group.started), WithCommas(group.lost()),
                         WithCommas(group.reconnects()));
}

// "  p50   p99   max", each in nine columns.
std::string Percentiles(const Histogram& latency) {
  if (latency.count() == 0) return absl::StrFormat("%9s%9s%9s", "-", "-", "-");
  return absl::StrFormat("%9s%9s%9s", ShortDuration(latency.Percentile(50)),
                         ShortDuration(latency.Percentile(99)), ShortDuration(latency.max()));
}

std::string Row(const LoadGroupReport& group) {
  return absl::StrCat(Name(group.name), Counts(group), "  ", Percentiles(group.steady), "  ",
                      Percentiles(group.around), "\n");
}

std::string Header() {
  return absl::StrFormat("%s%28s  %27s  %27s\n%s%10s %6s %10s  %9s%9s%9s  %9s%9s%9s\n", Name(""),
                         "", "--------- steady ----------", "----- around restarts -----", Name(""),
                         "requests", "lost", "reconnects", "p50", "p99", "max", "p50", "p99",
                         "max");
}

// "keep-alive: 3 reset, 1 raced": what was lost, by kind.
std::string LostText(const LoadGroupReport& group) {
  std::vector<std::string> kinds;
  for (int i = 1; i < kLoadOutcomeCount; ++i) {
    if (group.outcomes[i] == 0) continue;
    kinds.push_back(
        absl::StrCat(group.outcomes[i], " ", LoadOutcomeName(static_cast<LoadOutcome>(i))));
  }
  return absl::StrCat(group.name, ": ", absl::StrJoin(kinds, ", "));
}

}  // namespace

std::string LoadReport::ToTable() const {
  std::string table = Header();
  for (const LoadGroupReport& group : groups) absl::StrAppend(&table, Row(group));
  absl::StrAppend(&table, Row(Sum()));
  for (const LoadGroupReport& group : groups) {
    if (group.lost() > 0) absl::StrAppend(&table, "lost, ", LostText(group), "\n");
  }
  for (const std::string& loss : losses) absl::StrAppend(&table, "  ", loss, "\n");
  return table;
}

}  // namespace zdd
