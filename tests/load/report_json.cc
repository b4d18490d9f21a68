#include "nlohmann/json.hpp"
#include "tests/load/report.h"

namespace zdd {
namespace {

using Json = nlohmann::ordered_json;

Json LatencyJson(const Histogram& latency) {
  return {{"count", latency.count()},
          {"p50", absl::ToDoubleMicroseconds(latency.Percentile(50))},
          {"p99", absl::ToDoubleMicroseconds(latency.Percentile(99))},
          {"p999", absl::ToDoubleMicroseconds(latency.Percentile(99.9))},
          {"max", absl::ToDoubleMicroseconds(latency.max())}};
}

Json LostJson(const LoadGroupReport& group) {
  Json json = {{"total", group.lost()}};
  for (int i = 1; i < kLoadOutcomeCount; ++i) {
    json[std::string(LoadOutcomeName(static_cast<LoadOutcome>(i)))] = group.outcomes[i];
  }
  return json;
}

Json GroupJson(const LoadGroupReport& group) {
  return {{"name", group.name},
          {"requests", group.started},
          {"lost", LostJson(group)},
          {"told_to_reconnect", group.told_to_reconnect},
          {"closed_idle", group.closed_idle},
          {"moved", group.moved},
          {"latency_us",
           {{"steady", LatencyJson(group.steady)}, {"around", LatencyJson(group.around)}}}};
}

Json MarkJson(const LoadMark& mark) {
  Json json = {{"label", mark.label}};
  if (mark.version) json["version"] = *mark.version;
  if (mark.takeover) json["takeover_ms"] = absl::ToDoubleMilliseconds(*mark.takeover);
  return json;
}

template <typename T>
Json Each(const std::vector<T>& values, Json (*to_json)(const T&)) {
  Json json = Json::array();
  for (const T& value : values) json.push_back(to_json(value));
  return json;
}

Json VersionJson(const LoadVersion& version) {
  return {{"version", version.version}, {"answers", version.answers}};
}

}  // namespace

std::string LoadReport::ToJson() const {
  const LoadGroupReport sum = Sum();
  const Json json = {{"requests", sum.started},
                     {"lost", LostJson(sum)},
                     {"reconnects", sum.reconnects()},
                     {"moved", sum.moved},
                     {"elapsed_ms", absl::ToDoubleMilliseconds(elapsed)},
                     {"groups", Each(groups, GroupJson)},
                     {"versions", Each(versions, VersionJson)},
                     {"marks", Each(marks, MarkJson)},
                     {"losses", losses}};
  return json.dump(2, ' ', false,
                   Json::error_handler_t::replace);  // a version is whatever the server sent
}

}  // namespace zdd
