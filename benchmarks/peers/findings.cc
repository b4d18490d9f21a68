#include "benchmarks/peers/findings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "benchmarks/peers/chart.h"
#include "benchmarks/peers/grid.h"
#include "nlohmann/json.hpp"

namespace zdd {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

constexpr double kKibPerMib = 1024;

double Ms(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

absl::Duration Most(const std::vector<absl::Duration>& durations) {
  return durations.empty() ? absl::ZeroDuration()
                           : *std::max_element(durations.begin(), durations.end());
}

std::vector<const PeerFindings*> Present(const Findings& findings) {
  std::vector<const PeerFindings*> present;
  for (const PeerFindings& peer : findings.peers) {
    if (peer.missing.empty()) present.push_back(&peer);
  }
  return present;
}

// ---- The table

// One row: its name, then what `cell` says of each peer.
template <typename Cell>
Row MakeRow(std::string name, const std::vector<const PeerFindings*>& peers, Cell cell) {
  Row row = {std::move(name)};
  for (const PeerFindings* peer : peers) row.push_back(cell(*peer));
  return row;
}

// "99,999", "1,383k".
std::string Brief(int64_t number) {
  return number < 100'000 ? WithCommas(number) : WithCommas((number + 500) / 1000) + "k";
}

// "61 of 1,383k (64)".
std::string FailedCell(const LoadGroupReport& group, int restarts) {
  const double reconnects = static_cast<double>(group.reconnects()) / std::max(restarts, 1);
  return absl::StrFormat("%s of %s (%.*f)", WithCommas(group.lost()), Brief(group.ended()),
                         reconnects > 0 && reconnects < 9.95 ? 1 : 0, reconnects);
}

// Milliseconds: "45 (77)".
std::string MiddleAndMost(const std::vector<absl::Duration>& durations) {
  return absl::StrFormat("%.0f (%.0f)", Ms(Middle(durations)), Ms(Most(durations)));
}

const LoadGroupReport& Paced(const PeerFindings& peer) {
  static const LoadGroupReport kNothing;
  const std::vector<LoadGroupReport>& groups = peer.in(Session::kPaced).groups;
  return groups.empty() ? kNothing : groups.front();
}

std::string LatencyCell(const PeerFindings& peer) {
  return absl::StrFormat("%.1f / %.1f", Ms(Paced(peer).around.Percentile(99)),
                         Ms(Paced(peer).steady.Percentile(99)));
}

std::string MemoryCell(const PeerFindings& peer) {
  const Seen& seen = peer.in(Session::kThinking);
  return absl::StrFormat("%.1f / %.1f", seen.steady_kib / kKibPerMib, seen.peak_kib / kKibPerMib);
}

void AddFailures(const std::vector<const PeerFindings*>& peers, int restarts,
                 std::vector<Row>* rows) {
  for (int session = 0; session < kSessionCount; ++session) {
    const std::vector<LoadGroupReport>& groups = peers.front()->sessions[session].groups;
    for (size_t i = 0; i < groups.size(); ++i) {
      rows->push_back(MakeRow(groups[i].name, peers, [&](const PeerFindings& peer) {
        return FailedCell(peer.sessions[session].groups[i], restarts);
      }));
    }
  }
}

void AddTimes(const std::vector<const PeerFindings*>& peers, std::vector<Row>* rows) {
  rows->push_back(MakeRow("ms to first answer of new (most)", peers, [](const auto& peer) {
    return MiddleAndMost(peer.in(Session::kNew).switches);
  }));
  rows->push_back(MakeRow("ms to end of old, short requests", peers, [](const auto& peer) {
    return MiddleAndMost(peer.in(Session::kPaced).ends);
  }));
  rows->push_back(MakeRow("ms to end of old, long requests", peers, [](const auto& peer) {
    return MiddleAndMost(peer.in(Session::kLong).ends);
  }));
  rows->push_back(MakeRow("ms to end of old, tunnels", peers, [](const auto& peer) {
    return MiddleAndMost(peer.in(Session::kTunnels).ends);
  }));
  rows->push_back(MakeRow("p99 around / steady, ms", peers, LatencyCell));
  rows->push_back(MakeRow("memory steady / peak, MiB", peers, MemoryCell));
}

// "HAProxy, streams: 3 cut, 1 reset", or "".
std::string KindsOf(const PeerFindings& peer, const LoadGroupReport& group) {
  std::vector<std::string> kinds;
  for (int i = 1; i < kLoadOutcomeCount; ++i) {
    if (group.outcomes[i] == 0) continue;
    kinds.push_back(absl::StrCat(WithCommas(group.outcomes[i]), " ",
                                 LoadOutcomeName(static_cast<LoadOutcome>(i))));
  }
  if (kinds.empty()) return "";
  return absl::StrCat("- ", peer.name, ", ", group.name, ": ", absl::StrJoin(kinds, ", "), "\n");
}

std::string Notes(const Findings& findings) {
  std::string kinds;
  std::string missing;
  for (const PeerFindings& peer : findings.peers) {
    if (!peer.missing.empty()) {
      absl::StrAppend(&missing, "LEFT OUT: ", peer.name, ": ", peer.missing, "\n");
    }
    for (const Seen& seen : peer.sessions) {
      for (const LoadGroupReport& group : seen.groups)
        absl::StrAppend(&kinds, KindsOf(peer, group));
    }
  }
  return absl::StrCat(kinds.empty() ? "" : "\nHow they failed:\n", kinds,
                      missing.empty() ? "" : "\n", missing);
}

// ---- The summary and the chart

ChartRow ChartRowOf(const PeerFindings& peer) {
  const LoadGroupReport& paced = Paced(peer);
  const std::vector<LoadGroupReport>& thinking = peer.in(Session::kThinking).groups;
  const double restarts =
      static_cast<double>(std::max<size_t>(peer.in(Session::kThinking).ends.size(), 1));
  const double anew = thinking.empty()
                          ? 0
                          : static_cast<double>(thinking.front().reconnects() +
                                                thinking.front().count(LoadOutcome::kRaced));
  return {peer.name,
          {static_cast<double>(peer.failed()), anew / restarts,
           Ms(Middle(peer.in(Session::kNew).switches)), Ms(paced.around.Percentile(99)),
           Ms(Middle(peer.in(Session::kLong).ends)) / 1000}};
}

Chart ChartOf(const Findings& findings) {
  Chart chart = {
      "What clients notice of a restart",
      absl::StrCat(findings.machine, "; shorter is better"),
      {{"requests failed", absl::StrCat("in ", findings.restarts * kSessionCount, " restarts"), 0},
       {"reconnects forced", "by a restart, of 200", 0},
       {"first answer", "of the new version, ms", 0},
       {"p99", "around a restart, ms", 1},
       {"old one gone", "after long requests, s", 2}},
      {}};
  for (const PeerFindings* peer : Present(findings)) chart.rows.push_back(ChartRowOf(*peer));
  return chart;
}

// ---- JSON

Json GroupJson(const LoadGroupReport& group) {
  Json failed = Json::object();
  for (int i = 1; i < kLoadOutcomeCount; ++i) {
    failed[std::string(LoadOutcomeName(static_cast<LoadOutcome>(i)))] = group.outcomes[i];
  }
  return {{"name", group.name},
          {"requests", group.ended()},
          {"failed", group.lost()},
          {"failed_by_kind", failed},
          {"reconnects", group.reconnects()},
          {"moved", group.moved},
          {"p99_steady_ms", Ms(group.steady.Percentile(99))},
          {"p99_around_ms", Ms(group.around.Percentile(99))}};
}

Json SeenJson(const Seen& seen) {
  Json json = {{"switch_ms", Ms(Middle(seen.switches))},
               {"switch_most_ms", Ms(Most(seen.switches))},
               {"old_gone_ms", Ms(Middle(seen.ends))},
               {"old_gone_most_ms", Ms(Most(seen.ends))},
               {"groups", Json::array()}};
  if (seen.steady_kib > 0) {
    json["memory_steady_kib"] = seen.steady_kib;
    json["memory_peak_kib"] = seen.peak_kib;
  }
  for (const LoadGroupReport& group : seen.groups) json["groups"].push_back(GroupJson(group));
  return json;
}

Json PeerJson(const PeerFindings& peer) {
  if (!peer.missing.empty()) return {{"name", peer.name}, {"left_out", peer.missing}};
  Json json = {{"name", peer.name}, {"sessions", Json::array()}};
  for (const Seen& seen : peer.sessions) json["sessions"].push_back(SeenJson(seen));
  return json;
}

}  // namespace

absl::Duration Middle(std::vector<absl::Duration> durations) {
  if (durations.empty()) return absl::ZeroDuration();
  std::sort(durations.begin(), durations.end());
  return durations[durations.size() / 2];
}

int64_t PeerFindings::failed() const {
  int64_t sum = 0;
  for (const Seen& seen : sessions) {
    for (const LoadGroupReport& group : seen.groups) sum += group.lost();
  }
  return sum;
}

std::string ToTable(const Findings& findings) {
  const std::vector<const PeerFindings*> peers = Present(findings);
  if (peers.empty()) return Notes(findings);
  std::vector<Row> rows = {MakeRow("failed of requests (reconnects)", peers,
                                   [](const PeerFindings& peer) { return peer.name; })};
  AddFailures(peers, findings.restarts, &rows);
  AddTimes(peers, &rows);
  return absl::StrCat(findings.machine, "\n", findings.restarts,
                      " restarts of each peer in each session; reconnects are for each restart\n\n",
                      MarkdownTable(rows), Notes(findings));
}

std::string ToSummary(const Findings& findings) {
  const Chart chart = ChartOf(findings);
  Row head = {""};
  for (const ChartColumn& column : chart.columns) {
    head.push_back(absl::StrCat(column.title, " ", column.subtitle));
  }
  std::vector<Row> rows = {head};
  for (const ChartRow& peer : chart.rows) {
    rows.push_back({peer.name});
    for (size_t i = 0; i < peer.values.size(); ++i) {
      rows.back().push_back(absl::StrFormat("%.*f", chart.columns[i].decimals, peer.values[i]));
    }
  }
  return MarkdownTable(rows);
}

std::string ToSvg(const Findings& findings) { return ToSvg(ChartOf(findings)); }

std::string ToJson(const Findings& findings) {
  Json json = {{"benchmark", "peers"},
               {"machine", findings.machine},
               {"restarts", findings.restarts},
               {"peers", Json::array()}};
  for (const PeerFindings& peer : findings.peers) json["peers"].push_back(PeerJson(peer));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace zdd
