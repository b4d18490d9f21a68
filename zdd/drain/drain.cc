#include "zdd/drain/drain.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace zdd {

Drain::Drain(std::shared_ptr<TicketTable> table) : table_(std::move(table)), classes_(1) {}

Drain::~Drain() {
  if (began_ || wave_ != nullptr) table_->EndDraining();
}

// Least far: the drain goes on while any class does. A class without tickets holds nobody up.
DrainState Drain::state() const {
  if (drained_) return DrainState::kDrained;
  absl::optional<DrainState> least;
  for (const Class& one : classes_) {
    if (one.live > 0) least = std::min(least.value_or(DrainState::kDrained), one.machine.state());
  }
  return least.value_or(classes_[0].machine.state());
}

// A class of its own for `kind`; beyond the limit, class 0.
Drain::Class* Drain::ClassFor(const std::string& kind) {
  for (Class& one : classes_) {
    if (!one.kind.empty() && one.kind == kind) return &one;
  }
  if (classes_.size() == kDrainClassesMax) return &classes_[0];
  table_->SetClass(table_->Kind(kind), static_cast<uint8_t>(classes_.size()));
  classes_.push_back(Class{DrainMachine(), kind});
  return &classes_.back();
}

void Drain::BeginClass(Class* drain_class, Instant now) {
  FittedPlan fitted = Fitted(PlanOf(plan_, drain_class->kind));
  for (std::string& adjustment : fitted.adjustments) {
    report_.adjustments.push_back(drain_class->kind.empty()
                                      ? std::move(adjustment)
                                      : absl::StrCat(drain_class->kind, ": ", adjustment));
  }
  auto own = plan_.classes.find(drain_class->kind);
  drain_class->machine.Begin(fitted.plan, now, own == plan_.classes.end() || own->second.goodbye);
}

void Drain::Begin(const DrainPlan& plan, absl::string_view reason, Instant now) {
  report_.reason = std::string(reason);
  if (began_) return;
  began_ = true;
  plan_ = plan;
  for (const auto& [kind, own] : plan.classes) ClassFor(kind);
  for (Class& one : classes_) BeginClass(&one, now);
  if (wave_ == nullptr) BeginWork();
}

void Drain::BeginWork() {
  table_->BeginDraining();
  sums_at_begin_ = table_->Sums();
}

void Drain::Move(const std::vector<std::string>& kinds, std::function<int()> pending, Instant now) {
  if (wave_ != nullptr || drained()) return;
  MigrateWave::Kinds wanted;
  for (const std::string& kind : kinds) {
    Class* const its = ClassFor(kind);
    if (its == &classes_[0]) continue;  // too many classes: it says goodbye like the rest
    its->machine.Hold();
    if (began_) BeginClass(its, now);
    wanted.set(table_->Kind(kind));
  }
  if (!began_) BeginWork();
  wave_ = std::make_unique<MigrateWave>(table_->core(), wanted, kMoveCredit);
  pending_ = std::move(pending);
}

void Drain::EndMoving(Instant now) {
  if (wave_ == nullptr) return;
  wave_.reset();
  if (!began_) table_->EndDraining();
  for (Class& one : classes_) one.machine.Resume(now);
}

void Drain::Moved(Ticket ticket) {
  ++moved_;
  table_->EndMoved(std::move(ticket));
}

void Drain::CameBack(const Ticket& ticket, int fd) {
  ++came_back_;
  table_->Revive(ticket, fd, began_ ? Ask::kGoodbye : Ask::kNone);
}

void Drain::Stop() {
  for (Class& one : classes_) one.machine.Stop();
  pass_not_before_ = -absl::InfiniteDuration();
}

void Drain::Cut(Instant now) {
  for (Class& one : classes_) one.machine.Cut(now);
  pass_not_before_ = -absl::InfiniteDuration();
}

Instant Drain::Tick(Instant now) {
  if (ticking_ || (!began_ && wave_ == nullptr)) return absl::InfiniteDuration();
  ticking_ = true;
  const Instant next = Work(now);
  ticking_ = false;
  return next;
}

Reaches Drain::reaches() const {
  Reaches reaches;
  if (drained_) {  // for those who are late
    for (Reach& reach : reaches) reach.cut = Reach::kAll;
    return reaches;
  }
  for (size_t i = 0; i < classes_.size(); ++i) reaches[i] = classes_[i].machine.reach();
  return reaches;
}

Instant Drain::NextOfMachines() const {
  Instant next = absl::InfiniteDuration();
  for (const Class& one : classes_) next = std::min(next, one.machine.next());
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
  bool more = table_->AskWaiting(reaches(), &tally_);
  if (now >= NextOfMachines()) pass_wanted_ = true;
  const int64_t live = table_->Sums().live();
  for (Class& one : classes_) one.machine.Tick(now, live);
  NameBeforeCut();
  if (drained() && !drained_) Finish(now);
  table_->SetReach(reaches());
  if (Walk(now)) more = true;
  if (Advance(now)) more = true;
  if (more) return now;
  Instant next = pass_wanted_ ? pass_not_before_ : NextOfMachines();
  if (wave_ != nullptr) next = std::min(next, now + MigrateWave::kCollectPeriod);
  return std::max(now, std::min(next, recount_at_));
}

// Who is cut is gone before the report is read.
void Drain::NameBeforeCut() {
  const bool cuts = absl::c_any_of(
      classes_, [](const Class& one) { return one.machine.state() == DrainState::kCutting; });
  if (!cuts || std::exchange(named_, true)) return;
  report_.at_cut = table_->Oldest(DrainReport::kAtCutMax);
}

// True if the wave has more to ask.
bool Drain::Advance(Instant now) {
  if (wave_ == nullptr) return false;
  const Instant started = table_->Now();
  while (table_->Now() < started + kTickBudget) {
    if (!wave_->Advance(now, pending_(), kTicketsAtOnce)) return false;
  }
  return true;
}

// True if the pass is not done yet.
bool Drain::Walk(Instant now) {
  if (drained()) return walking_ = pass_wanted_ = false;
  if (!walking_) {
    if (!pass_wanted_ || now < pass_not_before_) return false;
    BeginPass(now);
  }
  const Instant started = table_->Now();
  Instant time = started;
  while (chunk_ < table_->chunk_count() && time < started + kTickBudget) {
    table_->AskChunk(chunk_++, pass_reaches_, &tally_);
    time = table_->Now();
  }
  pass_cost_ += time - started;
  if (chunk_ < table_->chunk_count()) return true;
  pass_not_before_ = now + pass_cost_ * kPassShare;
  EndPass();
  return false;
}

void Drain::BeginPass(Instant now) {
  pass_wanted_ = false;
  walking_ = true;
  chunk_ = 0;
  tally_.live = {};
  for (size_t i = 0; i < classes_.size(); ++i)
    pass_reaches_[i] = classes_[i].machine.BeginPass(now);
  pass_cost_ = absl::ZeroDuration();
}

void Drain::EndPass() {
  walking_ = false;
  for (size_t i = 0; i < classes_.size(); ++i) {
    classes_[i].machine.EndPass(table_->Now());
    classes_[i].live = tally_.live[i];
    table_->SignalAsked(static_cast<uint8_t>(i), pass_reaches_[i]);
  }
}

void Drain::Finish(Instant now) {
  EndMoving(now);
  report_ = report(now);
  drained_ = true;
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
  if (!began_) return report;
  report.duration = now - classes_[0].machine.began();
  report.entered = sums.entered - sums_at_begin_.left_total();
  report.moved = moved_;
  report.came_back = came_back_;
  report.finished = left(Ask::kNone) + left(Ask::kMigrate) - moved_;
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
  for (const Class& one : classes_) {
    if (one.live == 0) continue;
    progress.expected = std::max(progress.expected, one.machine.idle_end() - now);
    progress.at_most = std::max(progress.at_most, one.machine.end() - now);
  }
  progress.so_far = report(now);
  return progress;
}

}  // namespace zdd
