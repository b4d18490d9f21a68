#include "examples/demo/summary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace demo {
namespace {

using Json = nlohmann::ordered_json;
using ::zdd::LoadGroupReport;
using ::zdd::ShortDuration;

constexpr double kKibPerMib = 1024;

std::vector<absl::Duration> SortedTakeovers(const Summary& summary) {
  std::vector<absl::Duration> takeovers;
  for (const Restart& restart : summary.restarts) takeovers.push_back(restart.takeover);
  std::sort(takeovers.begin(), takeovers.end());
  return takeovers;
}

int64_t MostOfBoth(const Summary& summary) {
  int64_t most = 0;
  for (const Restart& restart : summary.restarts) {
    most = std::max(most, restart.predecessor_kib + restart.successor_kib);
  }
  return most;
}

// "1 request", "1,234 requests".
std::string Count(int64_t number, absl::string_view noun) {
  return absl::StrCat(zdd::WithCommas(number), " ", noun, number == 1 ? "" : "s");
}

std::string TakeoverText(const Summary& summary) {
  const std::vector<absl::Duration> takeovers = SortedTakeovers(summary);
  if (takeovers.empty()) return "";
  return absl::StrCat("From the signal to the first answer of the new version: ",
                      ShortDuration(takeovers[takeovers.size() / 2]), " (at most ",
                      ShortDuration(takeovers.back()), "), its start included.\n");
}

std::string ConnectionsText(const Summary& summary) {
  const int64_t moved = summary.during_restarts.moved();
  const int64_t reconnects = summary.during_restarts.reconnects();
  return absl::StrCat("Connections that their clients use again: ", Count(moved, "time"),
                      " one moved to a new version, ", Count(reconnects, "time"),
                      " one had to be opened anew.\n");
}

std::string MemoryText(const Summary& summary) {
  return absl::StrFormat("Memory of one server %.1f MiB, of both during a restart %.1f MiB.\n",
                         summary.steady_kib / kKibPerMib, MostOfBoth(summary) / kKibPerMib);
}

std::string BadVersionsText(const Summary& summary) {
  LoadGroupReport sum = summary.during_bad_versions.Sum();
  sum.steady.Merge(sum.around);
  return absl::StrCat("While versions crashed, froze and hung: ", Count(sum.started, "request"),
                      ", ", sum.lost(), " lost, the slowest took ", ShortDuration(sum.steady.max()),
                      ".\n");
}

std::string LimitText(const Summary& summary) {
  const LoadGroupReport sum = summary.limit.Sum();
  return absl::StrCat(
      "The limit: what crashes while serving takes the requests in its hands with it, here ",
      sum.lost(), " of ", Count(sum.started, "request"), ".\n");
}

std::string Verdict(const Summary& summary) {
  const std::string requests = Count(summary.requests(), "request");
  if (summary.lost() > 0) return absl::StrCat("\nLOST: ", summary.lost(), " of ", requests, ".\n");
  return absl::StrCat("\nNothing was lost: ", requests, ", ",
                      Count(summary.restarts.size(), "restart"), ", ",
                      Count(summary.bad_versions.size(), "bad version"), ".\n");
}

Json LostJson(const Summary& summary) {
  LoadGroupReport sum = summary.during_restarts.Sum();
  sum.Merge(summary.during_bad_versions.Sum());
  Json json = {{"total", sum.lost()}};
  for (int i = 1; i < zdd::kLoadOutcomeCount; ++i) {
    json[std::string(zdd::LoadOutcomeName(static_cast<zdd::LoadOutcome>(i)))] = sum.outcomes[i];
  }
  return json;
}

Json TakeoverJson(const Summary& summary) {
  const std::vector<absl::Duration> takeovers = SortedTakeovers(summary);
  if (takeovers.empty()) return nullptr;
  return {{"median", absl::ToDoubleMilliseconds(takeovers[takeovers.size() / 2])},
          {"max", absl::ToDoubleMilliseconds(takeovers.back())}};
}

Json LatencyJson(const zdd::Histogram& latency) {
  return {{"p50", absl::ToDoubleMicroseconds(latency.Percentile(50))},
          {"p99", absl::ToDoubleMicroseconds(latency.Percentile(99))},
          {"max", absl::ToDoubleMicroseconds(latency.max())}};
}

Json BadVersionsJson(const Summary& summary) {
  Json json = Json::array();
  for (const BadVersion& bad : summary.bad_versions) {
    json.push_back({{"version", bad.version},
                    {"reason", bad.reason},
                    {"lasted_ms", absl::ToDoubleMilliseconds(bad.lasted)}});
  }
  return json;
}

}  // namespace

std::string Summary::ToText() const {
  return absl::StrCat("\n", during_restarts.ToTable(), "\n", TakeoverText(*this),
                      ConnectionsText(*this), MemoryText(*this), BadVersionsText(*this),
                      LimitText(*this), Verdict(*this));
}

std::string Summary::ToJson() const {
  const LoadGroupReport sum = during_restarts.Sum();
  const Json json = {
      {"requests", requests()},
      {"lost", LostJson(*this)},
      {"restarts", restarts.size()},
      {"reconnects", during_restarts.reconnects() + during_bad_versions.reconnects()},
      {"moved", during_restarts.moved() + during_bad_versions.moved()},
      {"takeover_ms", TakeoverJson(*this)},
      {"latency_us", {{"steady", LatencyJson(sum.steady)}, {"around", LatencyJson(sum.around)}}},
      {"rss_kib", {{"one", steady_kib}, {"both", MostOfBoth(*this)}}},
      {"bad_versions", BadVersionsJson(*this)},
      {"limit", {{"requests", limit.requests()}, {"lost", limit.lost()}}},
      {"groups", Json::parse(during_restarts.ToJson())["groups"]}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace demo
