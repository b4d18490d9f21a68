#include "zdd/drain/drain.h"

#include <algorithm>
#include <string>
#include <utility>

namespace zdd {

Drain::Drain(std::shared_ptr<TicketTable> table) : table_(std::move(table)) {}

Drain::~Drain() {
  if (state() != DrainState::kServing) table_->EndDraining();
}

void Drain::Begin(const DrainPlan& plan, absl::string_view reason, Instant now) {
  report_.reason = std::string(reason);
  if (state() != DrainState::kServing) return;
  FittedPlan fitted = Fitted(plan);
  report_.adjustments = std::move(fitted.adjustments);
  machine_.Begin(fitted.plan, now);
  table_->BeginDraining();
  sums_at_begin_ = table_->Sums();
}

void Drain::Stop() {
  machine_.Stop();
  pass_not_before_ = -absl::InfiniteDuration();
}

void Drain::Cut(Instant now) {
  machine_.Cut(now);
  pass_not_before_ = -absl::InfiniteDuration();
}

Instant Drain::Tick(Instant now) {
  if (ticking_ || state() == DrainState::kServing) return absl::InfiniteDuration();
  ticking_ = true;
  const Instant next = Work(now);
  ticking_ = false;
  return next;
}

Instant Drain::Work(Instant now) {
  recount_at_ = absl::InfiniteDuration();
  if (now >= armed_at_ + kRecountPeriod) {
    table_->Arm();  // before the count: who leaves after that wakes us
    armed_at_ = now;
  } else {
    recount_at_ = armed_at_ + kRecountPeriod;
  }
  const bool more_waiting = table_->AskWaiting(machine_.reach(), &tally_);
  if (now >= machine_.next()) pass_wanted_ = true;
  const bool was_drained = drained();
  machine_.Tick(now, table_->Sums().live());
  table_->SetReach(machine_.reach());
  if (drained() && !was_drained) Finish(now);
  const bool more_chunks = Walk(now);
  if (more_waiting || more_chunks) return now;
  const Instant next = pass_wanted_ ? pass_not_before_ : machine_.next();
  return std::max(now, std::min(next, recount_at_));
}

// True if the pass is not done yet.
bool Drain::Walk(Instant now) {
  if (drained()) return walking_ = pass_wanted_ = false;
  if (!walking_) {
    if (!pass_wanted_ || now < pass_not_before_) return false;
    pass_wanted_ = false;
    walking_ = true;
    chunk_ = 0;
    pass_reach_ = machine_.BeginPass(now);
    pass_cost_ = absl::ZeroDuration();
  }
  const Instant started = table_->Now();
  Instant time = started;
  while (chunk_ < table_->chunk_count() && time < started + kTickBudget) {
    table_->AskChunk(chunk_++, pass_reach_, &tally_);
    time = table_->Now();
  }
  pass_cost_ += time - started;
  if (chunk_ < table_->chunk_count()) return true;
  pass_not_before_ = now + pass_cost_ * kPassShare;
  EndPass();
  return false;
}

void Drain::EndPass() {
  walking_ = false;
  machine_.EndPass(table_->Now());
  table_->SignalAsked(pass_reach_);
}

void Drain::Finish(Instant now) {
  report_ = report(now);
  report_.drained = true;
  report_.stragglers = table_->Oldest(DrainReport::kStragglersMax);
}

DrainReport Drain::report(Instant now) const {
  const TicketSums sums = table_->Sums();
  const auto left = [&](Ask ask) {
    const size_t i = static_cast<size_t>(ask);
    return sums.left[i] - sums_at_begin_.left[i];
  };
  DrainReport report = report_;
  if (report.drained) {  // the books are closed, but for who came since
    const int64_t entered = sums.entered - sums_at_begin_.left_total();
    report.late += entered - report.entered;
    report.entered = entered;
    return report;
  }
  if (state() == DrainState::kServing) return report;
  report.duration = now - machine_.began();
  report.entered = sums.entered - sums_at_begin_.left_total();
  report.finished = left(Ask::kNone) + left(Ask::kMigrate);
  report.closed = left(Ask::kGoodbye) + left(Ask::kCloseWhenIdle);
  report.cut = left(Ask::kCloseNow);
  report.late = drained() ? sums.live() : 0;
  report.lost_race = tally_.raced;
  report.outlived_fd = tally_.strangers;
  return report;
}

DrainProgress Drain::progress(Instant now) const {
  DrainProgress progress;
  progress.state = std::string(DrainStateName(state()));
  progress.now = table_->Count();
  progress.expected = std::max(absl::ZeroDuration(), machine_.idle_end() - now);
  progress.at_most = std::max(absl::ZeroDuration(), machine_.end() - now);
  progress.so_far = report(now);
  return progress;
}

}  // namespace zdd
