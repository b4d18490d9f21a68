#include "zdd/handoff/handoff_clock.h"

#include <algorithm>

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
  if (late > kPingPeriod) {
    deadline_ += late;
    soak_over_ += late;
    heard_ = std::min(now, heard_ + late);
    if (next_ping_ != absl::InfiniteDuration()) next_ping_ = now + kPingPeriod;
    // What was due is due again, one period from now.
    deadline_ = std::max(deadline_, now + kPingPeriod);
    soak_over_ = std::max(soak_over_, now + kPingPeriod);
    return events;
  }
  if (now >= next_ping_) next_ping_ = now + kPingPeriod;
  if (Pings(phase_)) {
    const bool silent = now - heard_ >= kHelpAfter;
    if (silent != silent_) events.push_back(silent ? Event::kSilent : Event::kAnswered);
    silent_ = silent;
    const bool overruled = now - heard_ >= limits_.silence;
    if (overruled && !overruled_) events.push_back(Event::kSilenceOver);
    overruled_ = overruled;
  }
  if (now >= soak_over_) {
    soak_over_ = absl::InfiniteDuration();
    events.push_back(Event::kSoakOver);
  }
  if (now >= deadline_) {
    deadline_ = absl::InfiniteDuration();
    events.push_back(Event::kDeadline);
  }
  return events;
}

}  // namespace zdd
