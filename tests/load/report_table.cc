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

std::string Counts(const LoadGroupReport& group) {
  return absl::StrFormat("%10s %6s %10s %7s", WithCommas(group.started), WithCommas(group.lost()),
                         WithCommas(group.reconnects()), WithCommas(group.moved));
}

// Three digits, so that columns can be compared.
std::string Milliseconds(absl::Duration duration) {
  const double ms = absl::ToDoubleMilliseconds(duration);
  return absl::StrFormat("%.*f", ms < 10 ? 2 : ms < 100 ? 1 : 0, ms);
}

// "   p50    p99    max".
std::string Percentiles(const Histogram& latency) {
  if (latency.count() == 0) return absl::StrFormat("%8s%7s%7s", "-", "-", "-");
  return absl::StrFormat("%8s%7s%7s", Milliseconds(latency.Percentile(50)),
                         Milliseconds(latency.Percentile(99)), Milliseconds(latency.max()));
}

std::string Row(const LoadGroupReport& group) {
  return absl::StrCat(Name(group.name), Counts(group), Percentiles(group.steady), "  ",
                      Percentiles(group.around), "\n");
}

std::string Header() {
  const std::string percentiles = absl::StrFormat("%8s%7s%7s", "p50", "p99", "max");
  return absl::StrFormat("%s%28s%8s%22s  %22s\n%s%10s %6s %10s %7s%s  %s\n", Name(""), "asked to",
                         "", "---- steady, ms ----", "-- at restarts, ms -", Name(""), "requests",
                         "lost", "reconnect", "moved", percentiles, percentiles);
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
