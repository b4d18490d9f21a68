// How the work of a service ends: the drain of all, those of one listener alone, and what is told
// of them while they go on.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "zdd/base/status.h"
#include "zdd/base/time.h"
#include "zdd/drain/plan.h"
#include "zdd/service/service_core.h"

namespace zdd {
namespace {

constexpr absl::Duration kTellEvery = absl::Seconds(1);

// The kind of work of whoever may still bring connections in.
std::string AcceptorOf(const std::string& listener) {
  return absl::StrCat("acceptor of ", listener);
}

DrainPlan WithoutDelay(DrainPlan plan) {
  plan.delay = absl::ZeroDuration();
  return plan;
}

}  // namespace

void ServiceCore::PrepareDrain() {
  if (drain_ != nullptr) return;
  drain_ = std::make_unique<Drain>(tickets_);
  drain_timer_ = std::make_unique<Timer>(loop_.get());
  progress_timer_ = std::make_unique<Timer>(loop_.get());
  tickets_->SetWake([post = loop_->poster(), weak = weak_from_this()] {
    post([weak] {
      if (auto self = weak.lock()) self->TickDrain();
    });
  });
}

void ServiceCore::TickDrainSoon() {
  if (!progress_timer_->active())
    progress_timer_->StartEvery(kTellEvery, [this] { TellProgress(); });
  loop_->Post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->TickDrain();
  });
}

// ---- All of it

void ServiceCore::BeginDrain(bool leaving) {
  reserve_.GiveAll();
  mover_->Refuse();
  PrepareDrain();
  // Whoever may still accept holds a ticket: the drain does not end before it has stopped, or names
  // it.
  listeners_->HoldUntilStopped([this](const std::string& name) {
    return tickets_->Enter(tickets_->Kind(AcceptorOf(name)));
  });
  if (stops_ < 2) BeginMoving();
  listeners_->End(mover_->movable());
  const std::string reason = leaving ? "leaving" : stops_ > 0 ? reason_ : "commit";
  drain_->Begin(WithoutDelay(options_.drain), reason, MonotonicNow());
  if (stops_ > 1) drain_->Stop();
  TickDrainSoon();
}

void ServiceCore::TickDrain() {
  if (drain_ == nullptr || generation_ == nullptr) return;
  const Instant now = MonotonicNow();
  const Instant next = drain_->Tick(now);
  EndListenerDrains();
  if (!drain_->drained()) {
    if (next == absl::InfiniteDuration()) return drain_timer_->Cancel();
    return drain_timer_->Start(next - now, [this] { TickDrain(); });
  }
  if (std::exchange(drained_, true)) return;
  WarnOfCut(drain_->report(MonotonicNow()));
  generation_->Handle(Event::kAllGone);
}

void ServiceCore::WarnOfCut(const DrainReport& report) {
  std::string text = CutText(report);
  if (!text.empty()) log_->Warning("drain.cut", std::move(text));
}

void ServiceCore::HurryDrain() {
  if (!draining()) return;
  drain_->Stop();
  TickDrainSoon();
}

// ---- One listener

absl::Status ServiceCore::DrainListener(const std::string& name, absl::string_view reason,
                                        absl::AnyInvocable<void(const DrainReport&)> done) {
  absl::Status status = absl::FailedPreconditionError("the service has ended");
  loop_->Run([&] {
    if (generation_ != nullptr) status = BeginListenerDrain(name, reason, std::move(done));
  });
  return Annotate(status, absl::StrCat("drain listener \"", name, "\""));
}

absl::Status ServiceCore::BeginListenerDrain(const std::string& name, absl::string_view reason,
                                             absl::AnyInvocable<void(const DrainReport&)> done) {
  if (!started()) {
    return absl::FailedPreconditionError(
        "the service has not started; Pause() lets it start without this listener");
  }
  if (draining()) {
    return absl::FailedPreconditionError(
        "the service itself drains, and all its listeners with it");
  }
  if (auto it = listener_drains_.find(name); it != listener_drains_.end()) {
    return absl::FailedPreconditionError(it->second.ended.has_value()
                                             ? "it is drained; CancelDrain() lets it accept again"
                                             : "it drains already; CancelDrain() ends that");
  }
  PrepareDrain();
  ListenerCore* const listener = listeners_->Find(name);
  Ticket held = tickets_->Enter(tickets_->Kind(AcceptorOf(name)));
  listener->SetDraining(true, [held = std::move(held)]() mutable { held.Reset(); });
  absl::Status begun = drain_->BeginKind({name, AcceptorOf(name)}, WithoutDelay(options_.drain),
                                         reason, MonotonicNow());
  if (!begun.ok()) {
    listener->SetDraining(false);
    return begun;
  }
  listener_drains_[name].done = std::move(done);
  log_->Info("listener.draining",
             absl::StrCat("listener \"", name, "\" drains (", reason,
                          "): who connects now waits in the queue"),
             {{"listener", name}});
  TickDrainSoon();
  return absl::OkStatus();
}

absl::Status ServiceCore::CancelDrain(const std::string& name) {
  absl::Status status = absl::FailedPreconditionError("the service has ended");
  loop_->Run([&] {
    if (generation_ != nullptr) status = CancelListenerDrain(name);
  });
  return Annotate(status, absl::StrCat("cancel the drain of listener \"", name, "\""));
}

absl::Status ServiceCore::CancelListenerDrain(const std::string& name) {
  if (draining()) {
    return absl::FailedPreconditionError("the service itself drains, which cannot be undone");
  }
  if (listener_drains_.count(name) == 0) {
    return absl::FailedPreconditionError("it does not drain");
  }
  drain_->CancelKind(name, MonotonicNow());  // unless it has ended
  EndListenerDrains();
  listener_drains_.erase(name);
  listeners_->Find(name)->SetDraining(false);
  log_->Info("listener.resumed", absl::StrCat("listener \"", name, "\" accepts again"),
             {{"listener", name}});
  return absl::OkStatus();
}

void ServiceCore::EndListenerDrains() {
  for (KindEnd& end : drain_->TakeEnded()) {
    ListenerDrain& its = listener_drains_[end.kind];
    its.ended = end.report;
    told_.erase(end.kind);
    if (end.report.drained) {
      log_->Info("listener.drained",
                 absl::StrCat("listener \"", end.kind, "\" is drained (", end.report.reason,
                              "): of ", end.report.entered, " connections ", end.report.finished,
                              " finished, ", end.report.closed, " were closed, ", end.report.cut,
                              " cut, ", end.report.late, " stayed"),
                 {{"listener", end.kind}});
      WarnOfCut(end.report);
    }
    if (!its.done) continue;
    callbacks_->Run(
        [done = std::move(its.done), report = std::move(end.report)]() mutable { done(report); });
  }
}

// ---- What is told

Kinds ServiceCore::KindsOf(const std::string& listener) const {
  return Kinds().set(tickets_->Kind(listener));
}

DrainProgress ServiceCore::Progress() {
  DrainProgress progress;
  loop_->Run([&] {
    if (drain_ != nullptr) progress = drain_->progress(MonotonicNow());
  });
  progress.now = tickets_->Count();
  progress.oldest = tickets_->Oldest(DrainProgress::kOldestMax);
  return progress;
}

DrainProgress ServiceCore::ListenerProgress(const std::string& name) {
  DrainProgress progress;
  loop_->Run([&] {
    if (drain_ == nullptr) return;
    progress = drain_->KindProgress(name, MonotonicNow());
    auto its = listener_drains_.find(name);
    if (its == listener_drains_.end() || !its->second.ended.has_value()) return;
    progress.so_far = *its->second.ended;
    progress.state = draining() ? drain_->progress(MonotonicNow()).state : "drained";
  });
  progress.now = tickets_->Count(KindsOf(name));
  progress.oldest = tickets_->Oldest(DrainProgress::kOldestMax, KindsOf(name));
  return progress;
}

void ServiceCore::TellProgress() {
  const Instant now = MonotonicNow();
  bool more = draining() && !drain_->drained();
  if (more) TellProgressOf("", drain_->progress(now));
  for (const auto& [name, its] : listener_drains_) {
    if (its.ended.has_value()) continue;
    more = true;
    TellProgressOf(name, drain_->KindProgress(name, now));
  }
  if (!more) progress_timer_->Cancel();
}

// Busy ones that become idle and busy again are no news.
void ServiceCore::TellProgressOf(const std::string& listener, DrainProgress progress) {
  const DrainReport& so_far = progress.so_far;
  std::string news =
      absl::StrCat(progress.state, " ", so_far.entered, " ", so_far.ended(), " ", so_far.came_back);
  if (std::exchange(told_[listener], news) == news) return;
  const Kinds kinds = listener.empty() ? Kinds().set() : KindsOf(listener);
  progress.now = tickets_->Count(kinds);
  progress.oldest = tickets_->Oldest(DrainProgress::kOldestMax, kinds);
  EventLog::Fields fields;
  if (!listener.empty()) fields.emplace_back("listener", listener);
  log_->Info("drain.progress",
             absl::StrCat(listener.empty() ? "" : absl::StrCat("listener \"", listener, "\": "),
                          ProgressText(progress)),
             std::move(fields));
}

}  // namespace zdd
