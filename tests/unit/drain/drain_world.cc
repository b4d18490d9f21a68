#include "tests/unit/drain/drain_world.h"

#include <algorithm>
#include <utility>

#include "gtest/gtest.h"
#include "tests/unit/drain/virtual_time.h"

namespace zdd {

Instant Life::HeardAt(Ask ask) const {
  for (const Heard& one : heard) {
    if (one.ask >= ask) return one.at;
  }
  return absl::InfiniteDuration();
}

DrainWorld::DrainWorld(uint32_t seed, WorldOptions options) : options_(options), random_(seed) {
  VirtualTime::SetCostPerReading(absl::ZeroDuration());
  table_ = TicketTable::Create(&VirtualTime::Now, random_());
  table_->SetWake([this] { woken_ = true; });
  table_->SetMigrateSink([this](Ticket ticket, OwnedFd, std::string state) {
    Life* const life = &lives_[std::stoul(state)];
    leaving_[life] = std::move(ticket);
    const double share = std::uniform_real_distribution<double>(0, 1)(random_);
    At(now() + options_.acknowledge_max * share, [this, life] { OnAnswer(life); });
  });
  drain_ = std::make_unique<Drain>(table_);
}

DrainWorld::~DrainWorld() {
  table_->SetWake({});
  table_->SetMigrateSink({});
}

Instant DrainWorld::VirtualNow() { return VirtualTime::Now(); }

absl::Duration DrainWorld::Exponential(absl::Duration mean) {
  if (mean == absl::InfiniteDuration()) return mean;
  return mean * std::exponential_distribution<double>(1.0)(random_);
}

void DrainWorld::At(Instant when, std::function<void()> what) {
  if (when != absl::InfiniteDuration()) events_.emplace(when, std::move(what));
}

// ---- Connections

Life* DrainWorld::OpenOne(const std::string& kind) {
  lives_.emplace_back();
  Life* life = &lives_.back();
  life->number = lives_.size() - 1;
  life->kind = kind;
  life->entered = now();
  life->deaf = std::bernoulli_distribution(options_.deaf_share)(random_);
  life->ticket = table_->Enter(table_->Kind(kind));
  life->ticket.OnAsk([this, life](Ask ask) { OnAsk(life, ask); });
  At(now() + Exponential(options_.work), [this, life] { StartRest(life); });
  return life;
}

void DrainWorld::Open(int count, const std::string& kind) {
  for (int i = 0; i < count; ++i) OpenOne(kind);
}

void DrainWorld::Close(Life* life) {
  if (life->gone()) return;
  life->left = now();
  life->ticket.Reset();
}

void DrainWorld::StartWork(Life* life) {
  if (life->gone() || !life->ticket.valid()) return;
  life->busy = true;
  life->ticket.SetBusy(true);
  At(now() + Exponential(options_.work), [this, life] { StartRest(life); });
}

// A response ends: it says `Connection: close` when it should.
void DrainWorld::StartRest(Life* life) {
  if (life->gone() || !life->ticket.valid()) return;
  if (life->ticket.Asked() == Ask::kMigrate && !life->deaf) return Migrate(life);
  if (life->ticket.ShouldClose() && !life->deaf) return Close(life);
  life->busy = false;
  life->ticket.SetBusy(false);
  At(now() + Exponential(options_.rest), [this, life] { StartWork(life); });
}

void DrainWorld::OnAsk(Life* life, Ask ask) {
  life->heard.push_back({ask, now(), life->busy});
  if (ask == Ask::kMigrate && !life->busy && !life->deaf) Migrate(life);
  if (ask >= Ask::kCloseWhenIdle && !life->deaf) Close(life);
  if (also_) also_(life, ask);
}

// ---- Moving

void DrainWorld::BeginMoving() {
  drain_->Move(
      {"http"}, [this] { return pending(); }, now());
  woken_ = true;
}

void DrainWorld::Migrate(Life* life) {
  std::move(life->ticket).Migrate(OwnedFd(), std::to_string(life->number));
}

void DrainWorld::OnAnswer(Life* life) {
  auto leaving = leaving_.find(life);
  if (leaving == leaving_.end()) return;
  if (std::bernoulli_distribution(options_.refused_share)(random_)) {
    ComeBack(life);
  } else {
    life->moved = true;
    life->left = now();
    drain_->Moved(std::move(leaving->second));
    leaving_.erase(leaving);
  }
  woken_ = true;
}

void DrainWorld::ComeBack(Life* life, bool again) {
  life->ticket = std::move(leaving_.at(life));
  leaving_.erase(life);
  drain_->CameBack(life->ticket, -1, again);
  ++life->came_back;
  life->ticket.OnAsk([this, life](Ask ask) { OnAsk(life, ask); });
  StartRest(life);
}

void DrainWorld::PausePair() {
  while (!leaving_.empty()) ComeBack(leaving_.begin()->first, true);
  woken_ = true;
}

void DrainWorld::BreakPair() {
  while (!leaving_.empty()) ComeBack(leaving_.begin()->first);
  drain_->EndMoving(now());
  woken_ = true;
}

void DrainWorld::Arrive() {
  OpenOne();
  if (!drain_->drained()) {
    At(now() + Exponential(absl::Seconds(1) / options_.arrivals_per_second), [this] { Arrive(); });
  }
}

// ---- Time

void DrainWorld::Begin(const DrainPlan& plan) {
  began_ = now();
  drain_->Begin(plan, "test", now());
  next_tick_ = now();
  if (options_.arrivals_per_second > 0) Arrive();
}

void DrainWorld::BeginKind(const std::string& kind, const DrainPlan& plan) {
  ASSERT_TRUE(drain_->BeginKind({kind}, plan, "test of one", now()).ok());
  next_tick_ = now();
}

void DrainWorld::CancelKind(const std::string& kind) {
  EXPECT_TRUE(drain_->CancelKind(kind, now()));
}

void DrainWorld::TickNow() {
  do {
    woken_ = false;
    ++ticks_;
    next_tick_ = drain_->Tick(now());
  } while (next_tick_ <= now() || woken_);
}

// The next thing that happens, if it does before `until`.
bool DrainWorld::Step(Instant until) {
  Instant tick = woken_ ? now() : next_tick_;
  if (tick != absl::InfiniteDuration() && tick > now() &&
      options_.late_tick_max > absl::ZeroDuration()) {
    tick += options_.late_tick_max * std::uniform_real_distribution<double>(0, 1)(random_);
  }
  const Instant event = events_.empty() ? absl::InfiniteDuration() : events_.begin()->first;
  const Instant next = std::max(now(), std::min(tick, event));
  if (next > until) return false;
  VirtualTime::Set(next);
  if (event <= next) {
    std::function<void()> what = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    what();
    return true;
  }
  woken_ = false;
  ++ticks_;
  next_tick_ = drain_->Tick(now());
  return true;
}

absl::Duration DrainWorld::RunUntilDrained(absl::Duration limit) {
  const Instant began = now();
  while (!drain_->drained() && Step(began + limit)) {
  }
  return now() - began;
}

absl::Duration DrainWorld::RunWhileAlone(const std::string& kind, absl::Duration limit) {
  const Instant began = now();
  while (drain_->DrainsAlone(kind) && Step(began + limit)) {
  }
  return now() - began;
}

void DrainWorld::RunFor(absl::Duration time) {
  const Instant until = now() + time;
  while (Step(until)) {
  }
  VirtualTime::Set(until);
}

void DrainWorld::Sleep(absl::Duration time) { VirtualTime::Advance(time); }

DrainPlan RandomPlan(std::mt19937* random) {
  const auto up_to = [random](double seconds) {
    const bool none = std::bernoulli_distribution(0.2)(*random);
    return none ? absl::ZeroDuration()
                : absl::Milliseconds(static_cast<int64_t>(
                      1000 * std::uniform_real_distribution<double>(0, seconds)(*random)));
  };
  DrainPlan plan;
  plan.delay = up_to(5);
  plan.spread = up_to(20);
  plan.grace = up_to(20);
  plan.deadline = up_to(60);
  plan.cut_spread = up_to(2);
  plan.linger = up_to(3);
  return Fitted(plan).plan;
}

WorldOptions RandomOptions(std::mt19937* random) {
  WorldOptions options;
  options.work = absl::Milliseconds(std::uniform_int_distribution<int>(1, 3000)(*random));
  options.rest = absl::Milliseconds(std::uniform_int_distribution<int>(1, 3000)(*random));
  options.deaf_share = std::bernoulli_distribution(0.5)(*random) ? 0.1 : 0;
  options.arrivals_per_second = std::bernoulli_distribution(0.5)(*random) ? 20 : 0;
  if (std::bernoulli_distribution(0.3)(*random)) options.late_tick_max = absl::Milliseconds(40);
  return options;
}

}  // namespace zdd
