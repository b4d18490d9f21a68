#include "tests/load/report.h"

#include <iterator>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace zdd {
namespace {

constexpr absl::string_view kOutcomeNames[] = {"ok",        "refused", "reset", "cut",
                                               "timed_out", "wrong",   "raced", "untried"};
static_assert(std::size(kOutcomeNames) == kLoadOutcomeCount);

absl::string_view KindName(LoadKind kind) {
  switch (kind) {
    case LoadKind::kNew:
      return "new connections";
    case LoadKind::kKeepAlive:
      return "keep-alive";
    case LoadKind::kSlow:
      return "slow answers";
    case LoadKind::kUpload:
      return "uploads";
    case LoadKind::kStream:
      return "streams";
    case LoadKind::kTunnel:
      return "tunnels";
    case LoadKind::kIdle:
      return "idle, used later";
    case LoadKind::kLate:
      return "connect, ask late";
    case LoadKind::kPipelined:
      return "pipelined, in pieces";
    case LoadKind::kSlowReader:
      return "slow readers";
  }
  return "?";
}

std::string DefaultName(const LoadGroup& group) {
  const absl::string_view kind = KindName(group.kind);
  if (group.rate > 0) return absl::StrCat(kind, ", ", group.rate, "/s");
  if (group.think > absl::ZeroDuration()) {
    return absl::StrCat(kind, ", think ", ShortDuration(group.think));
  }
  const bool saturates = group.kind == LoadKind::kNew || group.kind == LoadKind::kKeepAlive;
  return absl::StrCat(kind, saturates ? ", saturated" : "");
}

std::string ThreeDigits(double value, absl::string_view unit) {
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  return absl::StrFormat("%.*f %s", decimals, value, unit);
}

}  // namespace

absl::string_view LoadOutcomeName(LoadOutcome outcome) {
  return kOutcomeNames[static_cast<size_t>(outcome)];
}

LoadGroupReport::LoadGroupReport(const LoadGroup& group)
    : name(group.name.empty() ? DefaultName(group) : group.name) {}

int64_t LoadGroupReport::ended() const {
  return std::accumulate(outcomes.begin(), outcomes.end(), int64_t{0});
}

void LoadGroupReport::Merge(const LoadGroupReport& other) {
  started += other.started;
  for (size_t i = 0; i < outcomes.size(); ++i) outcomes[i] += other.outcomes[i];
  told_to_reconnect += other.told_to_reconnect;
  closed_idle += other.closed_idle;
  moved += other.moved;
  steady.Merge(other.steady);
  around.Merge(other.around);
}

LoadGroupReport LoadReport::Sum() const {
  LoadGroupReport sum;
  sum.name = "all";
  for (const LoadGroupReport& group : groups) sum.Merge(group);
  return sum;
}

std::string WithCommas(int64_t number) {
  std::string text = absl::StrCat(number);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) text.insert(at, 1, ',');
  return text;
}

std::string ShortDuration(absl::Duration duration) {
  if (duration == absl::ZeroDuration()) return "0";
  if (duration < absl::Milliseconds(1)) {
    return absl::StrCat(absl::ToInt64Microseconds(duration), " us");
  }
  if (duration < absl::Seconds(1)) return ThreeDigits(absl::ToDoubleMilliseconds(duration), "ms");
  return ThreeDigits(absl::ToDoubleSeconds(duration), "s");
}

}  // namespace zdd
