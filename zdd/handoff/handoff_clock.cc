#include "zdd/handoff/handoff_clock.h"

#include <algorithm>
#include <utility>

namespace zdd {

bool HandoffClock::Pings(Phase phase) {
  switch (phase) {
    case Phase::kPrepared:
    case Phase::kAccepting:
    case Phase::kTaking:
    case Phase::kSharing:
    case Phase::kStandby:
    case Phase::kReleasing:
      return true;
    default:
      return false;
  }
}

absl::Duration HandoffClock::Of(Limit limit) const {
  switch (limit) {
    case Limit::kNever:
      return absl::InfiniteDuration();
    case Limit::kJoin:
      return limits_.join;
    case Limit::kHello:
      return limits_.hello;
    case Limit::kReady:
      return limits_.ready;
    case Limit::kSwitch:
      return kSwitchLimit;
    case Limit::kPeerDrain:
      return limits_.peer_drain;
  }
  return absl::InfiniteDuration();
}

void HandoffClock::Enter(Phase phase, Instant now) {
  if (!Pings(phase)) {
    next_ping_ = absl::InfiniteDuration();
    silent_ = false;
  } else if (!Pings(phase_)) {
    next_ping_ = now;
    heard_ = now;
    overruled_ = false;
  }
  phase_ = phase;
  deadline_ = now + Of(LimitOf(phase));
  soak_over_ = phase == Phase::kStandby ? now + limits_.standby : absl::InfiniteDuration();
}

void HandoffClock::Heard(Instant when) { heard_ = std::max(heard_, when); }

Instant HandoffClock::next() const { return std::min({deadline_, soak_over_, next_ping_}); }

std::vector<Event> HandoffClock::Tick(Instant now) {
  std::vector<Event> events;
  if (now < next()) return events;
  const absl::Duration late = now - next();
  if (late > kPingPeriod && !excused_) {
    Postpone(now, late);
    return events;
  }
  excused_ = false;
  if (Pings(phase_)) TellSilence(now, &events);
  if (Passed(&soak_over_, now)) events.push_back(Event::kSoakOver);
  if (Passed(&deadline_, now)) events.push_back(Event::kDeadline);
  return events;
}

// We slept: the time did not count, and what is due is due again one period from now.
void HandoffClock::Postpone(Instant now, absl::Duration late) {
  excused_ = true;
  const Instant soon = now + kPingPeriod;
  deadline_ = std::max(deadline_ + late, soon);
  soak_over_ = std::max(soak_over_ + late, soon);
  heard_ = std::min(now, heard_ + late);
  if (Pings(phase_)) next_ping_ = soon;
}

void HandoffClock::TellSilence(Instant now, std::vector<Event>* events) {
  if (now >= next_ping_) next_ping_ = now + kPingPeriod;
  const bool silent = now - heard_ >= kHelpAfter;
  if (std::exchange(silent_, silent) != silent)
    events->push_back(silent ? Event::kSilent : Event::kAnswered);
  const bool overruled = now - heard_ >= limits_.silence;
  if (!std::exchange(overruled_, overruled) && overruled) events->push_back(Event::kSilenceOver);
}

bool HandoffClock::Passed(Instant* when, Instant now) {
  if (now < *when) return false;
  *when = absl::InfiniteDuration();
  return true;
}

}  // namespace zdd
