#include "zdd/drain/drain_machine.h"

#include <algorithm>

namespace zdd {
namespace {

// How often tickets are looked at when no wave is under way: for those that were busy.
constexpr absl::Duration kIdlePeriod = absl::Milliseconds(100);

// A tick that comes so late means that we were stopped.
constexpr absl::Duration kJump = absl::Milliseconds(250);

// A wave that takes `spread` goes in steps of this.
absl::Duration Period(absl::Duration spread) {
  if (spread == absl::ZeroDuration()) return kIdlePeriod;
  return std::clamp(spread / 128, absl::Milliseconds(5), kIdlePeriod);
}

// The longest step that a wave of `spread` takes at once, however long the last tick is ago.
absl::Duration StepMax(absl::Duration spread) { return std::max(spread / 16, Period(spread) * 2); }

uint64_t Share(absl::Duration part, absl::Duration whole) {
  if (part >= whole) return Reach::kAll;
  const double share = absl::FDivDuration(std::max(part, absl::ZeroDuration()), whole);
  return static_cast<uint64_t>(share * static_cast<double>(Reach::kAll));
}

}  // namespace

absl::string_view DrainStateName(DrainState state) {
  switch (state) {
    case DrainState::kServing:
      return "serving";
    case DrainState::kDelay:
      return "delay";
    case DrainState::kAsking:
      return "asking";
    case DrainState::kWaiting:
      return "waiting";
    case DrainState::kCutting:
      return "cutting";
    case DrainState::kDrained:
      return "drained";
  }
  return "unknown";
}

void DrainMachine::Begin(const DrainPlan& plan, Instant now, bool goodbye) {
  if (state_ == DrainState::kDrained) return;
  if (state_ != DrainState::kServing) {
    asked_cut_ = std::min(asked_cut_, now + plan.deadline - plan.cut_spread);
    return;
  }
  plan_ = plan;
  goodbye_ = goodbye;
  state_ = DrainState::kDelay;
  began_ = last_ = next_ = now;
}

void DrainMachine::Tick(Instant now, int64_t live) {
  if (state_ == DrainState::kServing || state_ == DrainState::kDrained) return;
  now = std::max(now, last_);
  jumped_ = now - std::max(last_, next_) > kJump;
  if (state_ == DrainState::kDelay && now >= began_ + plan_.delay) {
    state_ = DrainState::kAsking;
    last_ = std::max(last_, began_ + plan_.delay);
  }
  if (state_ != DrainState::kDelay) AdvanceWaves(now);
  Transition(now, live);
  if (state_ == DrainState::kCutting) AdvanceCut(now);
  last_ = now;
  hurry_ = false;
  next_ = NextTick(now);
}

void DrainMachine::Transition(Instant now, int64_t live) {
  const bool asked_to_cut = now >= asked_cut_;
  if (state_ != DrainState::kCutting && now >= CutTime() && (asked_to_cut || !jumped_)) {
    state_ = DrainState::kCutting;
  }
  if (state_ == DrainState::kAsking && reach_.when_idle == Reach::kAll) {
    state_ = DrainState::kWaiting;
  }
  const bool nobody = live == 0 && state_ != DrainState::kDelay;
  if (nobody || (!jumped_ && now >= cut_done_ + plan_.linger)) {
    state_ = DrainState::kDrained;
    reach_.cut = Reach::kAll;  // for those who are late
  }
}

void DrainMachine::AdvanceWaves(Instant now) {
  if (held_ && now >= HoldEnd()) Resume(now);
  if (held_ || !goodbye_) return;
  awake_ += std::min(now - last_, StepMax(plan_.spread));
  reach_.goodbye = std::max(reach_.goodbye, Share(awake_, plan_.spread));
  AdvanceIdleWave();
}

// It is where the goodbye wave was `grace` ago: not by the plan, but by the last pass that had
// ended by then. So it comes too early for no ticket, however slow the passes are.
void DrainMachine::AdvanceIdleWave() {
  const absl::Duration then = awake_ - plan_.grace;
  while (passes_.size() > 1 && passes_[1].awake <= then) passes_.pop_front();
  if (passes_.empty() || passes_.front().awake > then) return;
  reach_.when_idle = std::max(reach_.when_idle, passes_.front().reach.goodbye);
  reach_.idle_entered_by = passes_.front().began;
}

void DrainMachine::AdvanceCut(Instant now) {
  cut_awake_ += std::min(now - std::max(last_, CutTime()), StepMax(plan_.cut_spread));
  reach_.cut = std::max(reach_.cut, Share(cut_awake_, plan_.cut_spread));
}

const Reach& DrainMachine::BeginPass(Instant now) {
  pass_.began = now;
  pass_.reach = reach_;
  next_ = NextTick(now);
  return pass_.reach;
}

void DrainMachine::EndPass(Instant now) {
  if (state_ <= DrainState::kDelay || state_ == DrainState::kDrained) return;
  if (pass_.reach.cut == Reach::kAll) cut_done_ = std::min(cut_done_, now);
  pass_.awake = awake_ + std::max(absl::ZeroDuration(), now - last_);
  // A pass that told nobody new is of interest for late tickets only: 64 marks in a grace will do.
  const bool new_ground = passes_.empty() || pass_.reach.goodbye > passes_.back().reach.goodbye;
  if (new_ground || awake_ >= passes_.back().awake + plan_.grace / 64) passes_.push_back(pass_);
  next_ = NextTick(now);
}

void DrainMachine::Resume(Instant now) {
  if (!held_) return;
  held_ = false;
  if (state_ == DrainState::kServing || state_ == DrainState::kDrained) return;
  plan_.spread = std::clamp(HoldEnd() - now, absl::ZeroDuration(), plan_.spread);
  next_ = std::min(next_, now);
}

void DrainMachine::Stop() {
  if (state_ == DrainState::kServing || state_ == DrainState::kDrained) return;
  held_ = false;
  plan_.delay = plan_.spread = plan_.grace = absl::ZeroDuration();
  Hurry();
}

void DrainMachine::Cut(Instant now) {
  if (state_ == DrainState::kServing || state_ == DrainState::kDrained) return;
  asked_cut_ = std::min(asked_cut_, now);
  Hurry();
}

void DrainMachine::Hurry() {
  hurry_ = true;
  next_ = last_;
}

Instant DrainMachine::CutTime() const {
  return std::min(asked_cut_, began_ + plan_.deadline - plan_.cut_spread);
}

// The next pass comes a period after the last one, however often it was ticked meanwhile.
Instant DrainMachine::NextTick(Instant now) const {
  if (hurry_) return last_;
  Instant next = absl::InfiniteDuration();
  switch (state_) {
    case DrainState::kServing:
    case DrainState::kDrained:
      return next;
    case DrainState::kDelay:
      next = std::min(began_ + plan_.delay, CutTime());
      break;
    case DrainState::kAsking:
      if (!goodbye_) {
        next = CutTime();
      } else if (held_) {
        next = HoldEnd();
      } else {
        next = std::min({pass_.began + Period(plan_.spread), CutTime(), NextIdleStep(now)});
      }
      break;
    case DrainState::kWaiting:
      next = std::min(pass_.began + kIdlePeriod, CutTime());
      break;
    case DrainState::kCutting: {
      const bool all = reach_.cut == Reach::kAll && pass_.reach.cut == Reach::kAll;
      next = std::min(pass_.began + (all ? kIdlePeriod : Period(plan_.cut_spread)),
                      cut_done_ + plan_.linger);
      break;
    }
  }
  return std::max(next, now);
}

// When the idle wave can move on to what the next pass had reached.
Instant DrainMachine::NextIdleStep(Instant now) const {
  for (const Pass& pass : passes_) {
    if (pass.reach.goodbye > reach_.when_idle) return now + pass.awake + plan_.grace - awake_;
  }
  return absl::InfiniteDuration();
}

Instant DrainMachine::idle_end() const {
  if (state_ == DrainState::kDelay) {
    return std::min(began_ + plan_.delay + plan_.spread + plan_.grace, end());
  }
  if (state_ != DrainState::kAsking) return last_;
  if (!goodbye_) return end();
  if (held_) return std::min(HoldEnd() + plan_.grace, end());
  return std::min(last_ + std::max(absl::ZeroDuration(), plan_.spread + plan_.grace - awake_),
                  end());
}

Instant DrainMachine::end() const {
  return state_ == DrainState::kDrained ? last_ : CutTime() + plan_.cut_spread + plan_.linger;
}

}  // namespace zdd
