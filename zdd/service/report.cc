#include "zdd/service/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace zdd {
namespace {

using Json = nlohmann::ordered_json;

absl::string_view FateName(ListenerReport::Fate fate) {
  switch (fate) {
    case ListenerReport::Fate::kKept:
      return "kept";
    case ListenerReport::Fate::kAdded:
      return "added";
    case ListenerReport::Fate::kDropped:
      return "dropped";
    case ListenerReport::Fate::kRebound:
      return "rebound";
  }
  return "unknown";
}

double Milliseconds(absl::Duration duration) {
  return static_cast<double>(absl::ToInt64Microseconds(duration)) / 1000;
}

Json ToJson(const GenerationInfo& info) {
  return {{"generation", info.number}, {"pid", info.pid}, {"version", info.version}};
}

Json ToJson(const ListenerReport& listener) {
  return {{"name", listener.name},
          {"address", listener.address},
          {"fate", std::string(FateName(listener.fate))},
          {"notes", listener.notes}};
}

Json ToJson(const Straggler& straggler) {
  return {{"kind", straggler.kind},
          {"age_ms", Milliseconds(straggler.age)},
          {"peer", straggler.peer},
          {"busy", straggler.busy}};
}

Json ToJson(const std::vector<Straggler>& stragglers) {
  Json json = Json::array();
  for (const Straggler& straggler : stragglers) json.push_back(ToJson(straggler));
  return json;
}

Json ToJson(const DrainReport& drain) {
  Json json = {{"reason", drain.reason},
               {"drained", drain.drained},
               {"duration_ms", Milliseconds(drain.duration)},
               {"entered", drain.entered},
               {"finished", drain.finished},
               {"moved", drain.moved},
               {"came_back", drain.came_back},
               {"closed", drain.closed},
               {"cut", drain.cut},
               {"late", drain.late},
               {"lost_race", drain.lost_race},
               {"outlived_fd", drain.outlived_fd},
               {"adjustments", drain.adjustments}};
  json["stragglers"] = ToJson(drain.stragglers);
  json["at_cut"] = ToJson(drain.at_cut);
  return json;
}

Json ToJson(const KindCounts& counts) {
  return {{"total", counts.total}, {"busy", counts.busy}, {"idle", counts.idle}};
}

std::string Named(const GenerationInfo& info) {
  return absl::StrCat("generation ", info.number, " (pid ", info.pid,
                      info.version.empty() ? "" : absl::StrCat(", ", info.version), ")");
}

std::string Success(const Report& report) {
  if (report.peer.number == 0) return " has ended";
  const bool newer = report.peer.number > report.self.number;
  return absl::StrCat(newer ? " handed over to " : " took over from ", Named(report.peer));
}

std::string Failure(const Report& report) {
  const std::string peer = report.peer.number == 0 ? "" : Named(report.peer);
  std::string text = report.serving ? " keeps serving" : peer.empty() ? " failed" : " gave up ";
  absl::StrAppend(&text, report.serving && !peer.empty() ? "; it tried " : "", peer, ": ",
                  report.status.message());
  return text;
}

// The first few of them.
std::string NamesOf(const std::vector<Straggler>& stragglers, int64_t all) {
  constexpr int64_t kNamesMax = 5;
  const int64_t named = std::min({kNamesMax, all, static_cast<int64_t>(stragglers.size())});
  std::string text;
  for (int64_t i = 0; i < named; ++i) {
    const Straggler& one = stragglers[i];
    absl::StrAppend(&text, i > 0 ? ", " : "", one.kind, one.peer.empty() ? "" : " ", one.peer, " (",
                    one.busy ? "busy" : "idle", ", ",
                    absl::FormatDuration(absl::Trunc(one.age, absl::Milliseconds(1))), " old)");
  }
  if (all > named) absl::StrAppend(&text, named > 0 ? " and " : "", all - named, " more");
  return text;
}

}  // namespace

std::string CutText(const DrainReport& drain) {
  if (drain.cut == 0 && drain.late == 0) return "";
  std::string text =
      absl::StrCat("the drain (", drain.reason, ") has ended: of ", drain.entered,
                   " connections and jobs ", drain.cut, " were cut, ", drain.late, " stayed");
  if (drain.cut > 0) {
    absl::StrAppend(&text, "; at the cut there were ", NamesOf(drain.at_cut, drain.cut));
  }
  if (drain.late > 0) {
    absl::StrAppend(&text, "; stayed: ", NamesOf(drain.stragglers, drain.late));
  }
  return text;
}

std::string ProgressText(const DrainProgress& progress) {
  const DrainReport& so_far = progress.so_far;
  std::string text = absl::StrFormat("drain (%s) %s: %d of %d are left (%d busy, %d idle",
                                     so_far.reason, progress.state, progress.now.total,
                                     so_far.entered, progress.now.busy, progress.now.idle);
  for (const auto& [kind, counts] : progress.now.by_kind) {
    absl::StrAppend(&text, "; ", kind, " ", counts.total);
  }
  absl::StrAppendFormat(&text, "); %d finished, %d moved, %d closed, %d cut", so_far.finished,
                        so_far.moved, so_far.closed, so_far.cut);
  if (so_far.came_back > 0) absl::StrAppend(&text, ", ", so_far.came_back, " came back");
  if (so_far.lost_race > 0) absl::StrAppend(&text, ", ", so_far.lost_race, " lost a race");
  const auto tenths = [](absl::Duration time) {
    return absl::FormatDuration(absl::Trunc(time, absl::Milliseconds(100)));
  };
  absl::StrAppendFormat(&text, "; %.1f end per second; the last in about %s, %s at most",
                        progress.ended_per_second, tenths(progress.expected),
                        tenths(progress.at_most));
  if (progress.oldest.empty()) return text;
  return absl::StrCat(
      text, "; oldest: ", NamesOf(progress.oldest, static_cast<int64_t>(progress.oldest.size())));
}

std::string ProgressJson(const DrainProgress& progress) {
  Json now = ToJson(static_cast<const KindCounts&>(progress.now));
  now["by_kind"] = Json::object();
  for (const auto& [kind, counts] : progress.now.by_kind) now["by_kind"][kind] = ToJson(counts);
  const Json json = {{"state", progress.state},
                     {"now", now},
                     {"ended_per_second", progress.ended_per_second},
                     {"expected_ms", Milliseconds(progress.expected)},
                     {"at_most_ms", Milliseconds(progress.at_most)},
                     {"oldest", ToJson(progress.oldest)},
                     {"so_far", ToJson(progress.so_far)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string Report::ToJson() const {
  Json json = {{"outcome", status.ok() ? "ok" : "failed"},
               {"code", absl::StatusCodeToString(status.code())},
               {"error", std::string(status.message())},
               {"reason", reason},
               {"self", zdd::ToJson(self)},
               {"peer", peer.number == 0 ? Json() : zdd::ToJson(peer)},
               {"total_ms", Milliseconds(total)},
               {"orphaned", orphaned},
               {"helped", helped},
               {"serving", serving}};
  for (const char* key : {"phases", "listeners", "still_draining"}) json[key] = Json::array();
  for (const PhaseReport& phase : phases) {
    json["phases"].push_back({{"name", phase.name}, {"duration_ms", Milliseconds(phase.duration)}});
  }
  for (const ListenerReport& listener : listeners)
    json["listeners"].push_back(zdd::ToJson(listener));
  for (const GenerationInfo& info : still_draining)
    json["still_draining"].push_back(zdd::ToJson(info));
  json["drain"] = zdd::ToJson(drain);
  // Names and reasons may hold any bytes that a peer sent.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string Report::ToText() const {
  std::string text = self.number == 0 ? "the service" : Named(self);
  text += status.ok() ? Success(*this) : Failure(*this);
  if (!phases.empty()) {
    absl::StrAppend(&text, " [",
                    absl::StrJoin(phases, ", ",
                                  [](std::string* out, const PhaseReport& phase) {
                                    absl::StrAppendFormat(out, "%s %.1f ms", phase.name,
                                                          Milliseconds(phase.duration));
                                  }),
                    "]");
  }
  for (const ListenerReport& listener : listeners) {
    if (listener.fate == ListenerReport::Fate::kKept && listener.notes.empty()) continue;
    absl::StrAppend(&text, "; listener \"", listener.name, "\" ", FateName(listener.fate),
                    listener.notes.empty() ? "" : ": ", absl::StrJoin(listener.notes, ", "));
  }
  return text;
}

}  // namespace zdd
