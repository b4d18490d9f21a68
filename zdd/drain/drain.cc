#include "zdd/drain/drain.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace zdd {
namespace {

// Once the plan has nothing more to foretell, those who are left end as fast as the others did.
void Estimate(DrainProgress* progress) {
  if (progress->expected > absl::ZeroDuration()) return;
  const int64_t left = progress->so_far.entered - progress->so_far.ended();
  progress->expected = progress->at_most;
  if (progress->ended_per_second <= 0) return;
  progress->expected = std::min(
      progress->at_most, absl::Seconds(static_cast<double>(left) / progress->ended_per_second));
}

}  // namespace

Drain::Drain(std::shared_ptr<TicketTable> table)
    : table_(std::move(table)), classes_(1), books_(table_) {}

Drain::~Drain() {
  if (mode_set_) table_->EndDraining();
}

// Least far: the drain goes on while any class does. A class without tickets holds nobody up.
DrainState Drain::state() const {
  if (drained_) return DrainState::kDrained;
  if (!began_) return DrainState::kServing;
  absl::optional<DrainState> least;
  for (const Class& one : classes_) {
    if (one.live > 0) least = std::min(least.value_or(DrainState::kDrained), one.machine.state());
  }
  return least.value_or(classes_[0].machine.state());
}

bool Drain::working() const { return began_ || wave_ != nullptr || AnyAlone(); }

// ---- Classes

Drain::Class* Drain::FindClass(absl::string_view kind) {
  for (Class& one : classes_) {
    if (!kind.empty() && one.kind == kind) return &one;
  }
  return nullptr;
}

const Drain::Class* Drain::FindAlone(absl::string_view kind) const {
  for (const Class& one : classes_) {
    if (one.alone.has_value() && one.kind == kind) return &one;
  }
  return nullptr;
}

bool Drain::AnyAlone() const {
  return absl::c_any_of(classes_, [](const Class& one) { return one.alone.has_value(); });
}

// A class of its own for `kind`; beyond the limit, class 0.
Drain::Class* Drain::ClassFor(const std::string& kind) {
  if (Class* const its = FindClass(kind); its != nullptr) return its;
  size_t free = 1;
  while (free < classes_.size() && !classes_[free].kind.empty()) ++free;
  if (free == kDrainClassesMax) return &classes_[0];
  if (free == classes_.size()) classes_.emplace_back();
  table_->SetClass(table_->Kind(kind), static_cast<uint8_t>(free));
  Class& its = classes_[free];
  its = Class();
  its.kind = kind;
  return &its;
}

void Drain::BeginClass(Class* one, const DrainPlan& plan, DrainBooks* books, Instant now) {
  FittedPlan fitted = Fitted(PlanOf(plan, one->kind));
  books->AddAdjustments(fitted.adjustments, one->kind);
  auto own = plan.classes.find(one->kind);
  one->machine.Begin(fitted.plan, now, own == plan.classes.end() || own->second.goodbye);
}

// ---- Beginning

void Drain::Begin(const DrainPlan& plan, absl::string_view reason, Instant now) {
  books_.SetReason(reason);
  if (began_) return;
  for (Class& one : classes_) {
    if (one.alone.has_value()) EndAlone(&one, now);
  }
  BeginWork();
  books_.Open(now);
  began_ = true;
  plan_ = plan;
  // Who was refused in standby is asked once more, so that he hears his goodbye now if he must.
  if (wave_ != nullptr) table_->ForgetRefusals(wave_->kinds());
  for (const auto& [kind, own] : plan.classes) ClassFor(kind);
  for (size_t i = 0; i < classes_.size(); ++i) {
    if (i == 0 || !classes_[i].kind.empty()) BeginClass(&classes_[i], plan_, &books_, now);
  }
}

void Drain::BeginWork() {
  if (!std::exchange(mode_set_, true)) table_->BeginDraining();
}

absl::Status Drain::BeginKind(const std::vector<std::string>& kinds, const DrainPlan& plan,
                              absl::string_view reason, Instant now) {
  const std::string& name = kinds.front();
  if (began_) return absl::FailedPreconditionError("everything drains already");
  if (DrainsAlone(name)) return absl::FailedPreconditionError("it drains already");
  if (wave_ != nullptr && wave_->kinds()[table_->Kind(name)])
    return absl::FailedPreconditionError("its connections move to the successor just now");
  Kinds numbers;
  for (const std::string& kind : kinds) {
    const uint8_t number = table_->Kind(kind);
    if (table_->KindName(number) != kind) {
      return absl::ResourceExhaustedError(absl::StrCat("there are more than ", kKindsMax - 1,
                                                       " kinds of work, and this one is counted "
                                                       "together with others"));
    }
    numbers.set(number);
  }
  Class* const its = ClassFor(name);
  if (its == &classes_[0]) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kDrainClassesMax - 1, " listeners drain already, which is the most"));
  }
  for (const std::string& kind : kinds) {
    table_->SetClass(table_->Kind(kind), static_cast<uint8_t>(its - classes_.data()));
  }
  BeginWork();
  its->alone.emplace(table_, numbers);
  its->alone->SetReason(reason);
  its->alone->Open(now);
  BeginClass(its, plan, &*its->alone, now);
  return absl::OkStatus();
}

bool Drain::CancelKind(absl::string_view kind, Instant now) {
  Class* const its = FindClass(kind);
  if (its == nullptr || !its->alone.has_value()) return false;
  const Kinds kinds = its->alone->kinds();
  EndAlone(its, now);
  Release(its, kinds);
  return true;
}

void Drain::EndAlone(Class* one, Instant now) {
  ended_.push_back({one->kind, one->alone->Report(now)});
  one->alone.reset();
}

// At once, even for tickets that this very tick still looks at.
void Drain::Release(Class* one, const Kinds& kinds) {
  const size_t index = static_cast<size_t>(one - classes_.data());
  reaches_[index] = pass_reaches_[index] = Reach();
  table_->SetReach(reaches_);
  for (int kind = 0; kind < kKindsMax; ++kind) {
    if (!kinds[kind]) continue;
    table_->SetClass(static_cast<uint8_t>(kind), 0);
    table_->ForgetAsked(static_cast<uint8_t>(kind));
  }
  *one = Class();
  one->live = 0;
  if (!working() && std::exchange(mode_set_, false)) table_->EndDraining();
}

// ---- Moving

void Drain::Move(const std::vector<std::string>& kinds, std::function<int()> pending, Instant now) {
  if (drained()) return;
  Kinds more;
  for (const std::string& kind : kinds) {
    const uint8_t number = table_->Kind(kind);
    if (wave_ != nullptr && wave_->kinds()[number]) continue;
    Class* const its = ClassFor(kind);
    if (its == &classes_[0]) continue;  // too many classes: it says goodbye like the rest
    if (!its->alone.has_value()) its->machine.Hold();  // else its goodbyes are under way
    if (began_) BeginClass(its, plan_, &books_, now);
    more.set(number);
  }
  pending_ = std::move(pending);
  if (wave_ != nullptr) return wave_->Add(more);
  BeginWork();
  if (!began_) books_.Open(now);
  wave_ = std::make_unique<MigrateWave>(table_->core(), more, kMoveCredit);
}

void Drain::EndMoving(Instant now) {
  if (wave_ == nullptr) return;
  const Kinds kinds = wave_->kinds();
  wave_.reset();
  for (Class& one : classes_) one.machine.Resume(now);
  if (began_) return;
  books_ = DrainBooks(table_);  // of a trial that was taken back
  table_->WithdrawMove(kinds);
  if (!working() && std::exchange(mode_set_, false)) table_->EndDraining();
}

void Drain::Moved(Ticket ticket) { table_->EndMoved(std::move(ticket)); }

void Drain::CameBack(const Ticket& ticket, int fd, bool again) {
  const bool moves = again && wave_ != nullptr;
  table_->Revive(ticket, fd, began_ && !moves ? Ask::kGoodbye : Ask::kNone,
                 moves || wave_ == nullptr);
}

// ---- Working

void Drain::Stop() {
  for (Class& one : classes_) one.machine.Stop();
  pass_not_before_ = -absl::InfiniteDuration();
}

void Drain::Cut(Instant now) {
  for (Class& one : classes_) one.machine.Cut(now);
  pass_not_before_ = -absl::InfiniteDuration();
}

Instant Drain::Tick(Instant now) {
  if (ticking_ || !working()) return absl::InfiniteDuration();
  ticking_ = true;
  const Instant next = Work(now);
  ticking_ = false;
  return next;
}

Reaches Drain::Reached() const {
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
  bool more = table_->AskWaiting(reaches_);
  if (now >= NextOfMachines()) pass_wanted_ = true;
  TickMachines(now);
  NameBeforeCut();
  if (drained() && !drained_) Finish(now);
  reaches_ = Reached();
  table_->SetReach(reaches_);
  if (Walk(now)) more = true;
  if (Advance(now)) more = true;
  if (more) return now;
  if (!working()) return absl::InfiniteDuration();
  Instant next = pass_wanted_ ? pass_not_before_ : NextOfMachines();
  if (wave_ != nullptr) next = std::min(next, now + MigrateWave::kCollectPeriod);
  return std::max(now, std::min(next, recount_at_));
}

// All that drain together are waited for together; who drains alone, until a pass finds none.
void Drain::TickMachines(Instant now) {
  const int64_t live = table_->Sums().live();
  if (began_) books_.Sample(now);
  for (Class& one : classes_) {
    if (!one.alone.has_value()) {
      one.machine.Tick(now, live);
      continue;
    }
    one.alone->Sample(now);
    if (MayBeGone(one)) pass_wanted_ = true;
    one.machine.Tick(now, one.live);
    if (one.machine.state() != DrainState::kDrained) continue;
    one.alone->Close(now);
    const Kinds kinds = one.alone->kinds();
    EndAlone(&one, now);
    Release(&one, kinds);
  }
}

// As many have ended since the last pass as it had seen.
bool Drain::MayBeGone(const Class& one) const {
  return one.live > 0 && table_->Tally(one.alone->kinds()).ended() - one.ended_at_pass >= one.live;
}

void Drain::NameBeforeCut() {
  for (Class& one : classes_) {
    if (one.machine.state() != DrainState::kCutting) continue;
    (one.alone.has_value() ? *one.alone : books_).NameAtCut();
  }
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

// True if the pass is not done yet, or has found that somebody is gone.
bool Drain::Walk(Instant now) {
  if (drained()) return walking_ = pass_wanted_ = false;
  if (!walking_) {
    if (!pass_wanted_ || now < pass_not_before_) return false;
    BeginPass(now);
  }
  const Instant started = table_->Now();
  Instant time = started;
  while (chunk_ < table_->chunk_count() && time < started + kTickBudget) {
    table_->AskChunk(chunk_++, pass_reaches_, &seen_);
    time = table_->Now();
  }
  pass_cost_ += time - started;
  if (chunk_ < table_->chunk_count()) return true;
  pass_not_before_ = now + pass_cost_ * kPassShare;
  EndPass();
  return absl::c_any_of(classes_, [](const Class& one) {
    return one.alone.has_value() && one.live == 0 && one.machine.state() != DrainState::kDelay;
  });
}

void Drain::BeginPass(Instant now) {
  pass_wanted_ = false;
  walking_ = true;
  chunk_ = 0;
  seen_ = {};
  for (size_t i = 0; i < classes_.size(); ++i) {
    Class& one = classes_[i];
    one.walked = true;
    if (one.alone.has_value()) one.ended_at_pass = table_->Tally(one.alone->kinds()).ended();
    pass_reaches_[i] = one.machine.BeginPass(now);
  }
  pass_cost_ = absl::ZeroDuration();
}

void Drain::EndPass() {
  walking_ = false;
  for (size_t i = 0; i < classes_.size(); ++i) {
    if (!classes_[i].walked) continue;  // it came meanwhile
    classes_[i].machine.EndPass(table_->Now());
    classes_[i].live = seen_[i];
    table_->SignalAsked(static_cast<uint8_t>(i), pass_reaches_[i]);
  }
}

void Drain::Finish(Instant now) {
  EndMoving(now);
  books_.Close(now);
  drained_ = true;
}

// ---- What is told

// By the plan as long as that decides, else by the rate.
DrainProgress Drain::progress(Instant now) const {
  DrainProgress progress;
  progress.state = std::string(DrainStateName(state()));
  progress.so_far = report(now);
  if (!began_ || drained_) return progress;
  progress.ended_per_second = books_.EndedPerSecond(now);
  for (const Class& one : classes_) {
    if (one.live == 0) continue;
    progress.expected = std::max(progress.expected, one.machine.idle_end() - now);
    progress.at_most = std::max(progress.at_most, one.machine.end() - now);
  }
  if (wave_ != nullptr) progress.expected = absl::ZeroDuration();
  Estimate(&progress);
  return progress;
}

DrainProgress Drain::KindProgress(absl::string_view kind, Instant now) const {
  DrainProgress progress;
  const Class* const one = FindAlone(kind);
  if (one == nullptr) return progress;
  progress.state = std::string(DrainStateName(one->machine.state()));
  progress.so_far = one->alone->Report(now);
  progress.ended_per_second = one->alone->EndedPerSecond(now);
  progress.expected = one->machine.idle_end() - now;
  progress.at_most = one->machine.end() - now;
  Estimate(&progress);
  return progress;
}

}  // namespace zdd
