// What the embedder, the signals and the visitors ask of a service: the front door's calls, and
// what becomes of them on the loop.
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/service/service_core.h"

namespace zdd {

absl::Status ServiceCore::BeforeStart(absl::string_view call) const {
  if (!started()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(call, ": the service has started; call it before Start()"));
}

absl::StatusOr<std::shared_ptr<ListenerCore>> ServiceCore::Listen(absl::string_view name,
                                                                  absl::string_view address,
                                                                  ListenOptions options) {
  if (absl::Status status = BeforeStart(absl::StrCat("listen \"", name, "\"")); !status.ok())
    return status;
  absl::StatusOr<std::shared_ptr<ListenerCore>> core =
      absl::UnavailableError("the service has ended");
  loop_->Run([&] {
    if (listeners_ != nullptr) core = listeners_->Listen(name, address, std::move(options));
  });
  if (!core.ok()) return core.status();
  std::weak_ptr<ServiceCore> weak = weak_from_this();
  (*core)->WhenReady([weak] {
    auto self = weak.lock();
    if (self != nullptr && self->generation_ != nullptr) self->generation_->OnListenerReady();
  });
  return core;
}

absl::Status ServiceCore::AddReadinessCheck(absl::string_view name,
                                            absl::AnyInvocable<absl::Status()> check) {
  if (absl::Status status = BeforeStart("add a readiness check"); !status.ok()) return status;
  if (!check)
    return absl::InvalidArgumentError(absl::StrCat("readiness check \"", name, "\" is empty"));
  loop_->Run([&] { checks_.push_back({std::string(name), std::move(check)}); });
  return absl::OkStatus();
}

absl::Status ServiceCore::OnState(absl::AnyInvocable<void(State)> callback) {
  if (absl::Status status = BeforeStart("OnState"); !status.ok()) return status;
  loop_->Run([&] { on_state_ = std::move(callback); });
  return absl::OkStatus();
}

absl::Status ServiceCore::Start() {
  if (loop_->on_loop() && !loop_->borrowed()) {
    return absl::FailedPreconditionError("Start() on zdd's loop: it would wait for itself");
  }
  if (started_.exchange(true))
    return absl::FailedPreconditionError("Start(): the service has started already");
  absl::Status finished = absl::FailedPreconditionError("Start(): the service has ended");
  loop_->Run([&] {
    if (listeners_ != nullptr) finished = listeners_->Finish();
  });
  if (!finished.ok()) return finished;
  loop_->Post([self = shared_from_this()] { self->StartOnLoop(); });
  // The answer of a loop that is the caller's own cannot be waited for.
  if (loop_->borrowed()) return absl::OkStatus();
  MutexLock lock(&mutex_);
  while (!start_result_.has_value()) changed_.Wait(&mutex_);
  return *start_result_;
}

void ServiceCore::StartOnLoop() {
  if (generation_ == nullptr) return;
  reserve_.Aim(listeners_->size());
  std::weak_ptr<ServiceCore> weak = weak_from_this();
  readiness_ = std::make_unique<Readiness>(
      loop_.get(), callbacks_.get(), std::move(checks_), [weak](absl::Status status) {
        auto self = weak.lock();
        if (self == nullptr || self->generation_ == nullptr) return;
        self->generation_->Handle(status.ok() ? Event::kReady : Event::kNotReady, status);
      });
  generation_->Start();
  readiness_->Start();
}

void ServiceCore::Upgrade(absl::AnyInvocable<void(const Report&)> done) {
  loop_->Post([self = shared_from_this(), done = std::move(done)]() mutable {
    self->BeginUpgrade("upgrade by call", /*by_signal=*/false, std::move(done));
  });
}

absl::Status ServiceCore::RollBack(absl::string_view reason) {
  absl::Status status = absl::FailedPreconditionError("roll back: the service has ended");
  loop_->Run([&] {
    if (generation_ == nullptr) return;
    const Phase phase = generation_->phase();
    if (!generation_->machine().in_handoff() || phase == Phase::kJoining) {
      status = absl::FailedPreconditionError(absl::StrCat(
          "roll back: no handoff is in progress, this generation is ", PhaseName(phase)));
      return;
    }
    status = absl::OkStatus();
    const bool predecessor =
        generation_->machine().owner() || phase == Phase::kAborting || phase == Phase::kYielding;
    const absl::Status cause = absl::AbortedError(absl::StrCat("rolled back: ", reason));
    generation_->Handle(predecessor ? Event::kRollBack : Event::kNotReady, cause);
  });
  return status;
}

absl::Status ServiceCore::Release() {
  absl::Status status = absl::FailedPreconditionError("release: the service has ended");
  loop_->Run([&] {
    if (generation_ == nullptr) return;
    if (generation_->phase() != Phase::kStandby) {
      status = absl::FailedPreconditionError(absl::StrCat(
          "release: this generation is ", PhaseName(generation_->phase()), ", not in standby"));
      return;
    }
    status = absl::OkStatus();
    generation_->Handle(Event::kSoakOver);
  });
  return status;
}

void ServiceCore::Stop(absl::string_view reason) {
  loop_->Post([self = shared_from_this(), text = std::string(reason)] { self->StopOnLoop(text); });
}

Report ServiceCore::Wait() {
  MutexLock lock(&mutex_);
  if (!final_report_.has_value() && loop_->on_loop()) {
    Report report;
    report.status = absl::FailedPreconditionError("Wait() on zdd's loop: it would wait for itself");
    return report;
  }
  while (!final_report_.has_value()) changed_.Wait(&mutex_);
  return *final_report_;
}

Ticket ServiceCore::Enter(absl::string_view kind) { return tickets_->Enter(tickets_->Kind(kind)); }

// ---- On the loop.

void ServiceCore::BeginUpgrade(std::string reason, bool by_signal,
                               absl::AnyInvocable<void(const Report&)> done) {
  auto refuse = [&](const absl::Status& status) {
    log_->Warning("upgrade.refused", std::string(status.message()));
    if (!done) return;
    Report report;
    report.status = status;
    report.reason = reason;
    report.self = {generation_number_.load(std::memory_order_acquire), getpid(), options_.version};
    report.serving = ready_.load(std::memory_order_acquire);
    callbacks_->Run(
        [done = std::move(done), report = std::move(report)]() mutable { done(report); });
  };
  if (generation_ == nullptr)
    return refuse(absl::FailedPreconditionError("upgrade: the service has ended"));
  absl::Status can = generation_->CanUpgrade();
  if (by_signal && absl::IsUnavailable(can)) {
    // A signal can be told nothing, so it is remembered; unless it is the one by which another
    // service of this process has begun this very handoff.
    if (std::exchange(joined_spawn_, false)) return;
    log_->Info("upgrade.waits", absl::StrCat(reason, " is kept until this ends: ", can.message()));
    return generation_->Handle(Event::kUpgrade);
  }
  if (by_signal && absl::IsResourceExhausted(can)) {
    log_->Warning("upgrade.waits", std::string(can.message()));
    waiting_upgrade_ = std::move(reason);
    return;
  }
  if (!can.ok()) return refuse(can);
  waiting_upgrade_.reset();  // this one does what that one was to do
  if (done) upgrades_.push_back(std::move(done));
  generation_->SetReason(std::move(reason));
  generation_->Handle(Event::kUpgrade);
}

void ServiceCore::JoinSpawn() {
  loop_->Post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (self == nullptr || self->generation_ == nullptr) return;
    if (!ProcessServices::Get().Reserved(self->key_) ||
        self->generation_->phase() != Phase::kServing)
      return;
    self->joined_spawn_ = true;
    self->generation_->SetReason("upgrade of the process");
    self->generation_->Handle(Event::kUpgrade);
  });
}

void ServiceCore::OnSignal(int signal) {
  const std::string text = SignalText(signal);
  if (signal == options_.upgrade_signal) {
    return BeginUpgrade(absl::StrCat("upgrade by ", text), /*by_signal=*/true, {});
  }
  StopOnLoop(absl::StrCat("stop by ", text));
}

void ServiceCore::StopOnLoop(std::string reason) {
  if (generation_ == nullptr) return;
  if (++stops_ == 1) reason_ = reason;
  log_->Info("stop", absl::StrCat(reason, stops_ > 2    ? ", once more: connections are cut"
                                          : stops_ == 2 ? ", again: no more waiting"
                                                        : ""));
  const Phase phase = generation_->phase();
  // It is ending as it is. The signal may be one that all of a group got.
  if (stops_ == 1 && (phase == Phase::kDraining || phase == Phase::kLeaving)) return;
  if (stops_ > 1 && phase == Phase::kAborting) return generation_->Handle(Event::kDeadline);
  if (stops_ > 2 && draining()) {
    drain_->Cut(MonotonicNow());
    return TickDrain();
  }
  generation_->Handle(Event::kStop, absl::CancelledError(reason));
}

void ServiceCore::OnVisitor(std::shared_ptr<Peer> peer, Frame first) {
  if (generation_ == nullptr) return peer->Close();
  if (auto* hello = std::get_if<HelloFrame>(&first))
    return generation_->OnVisitor(std::move(peer), *hello);
  peer->Send(
      RefusedFrame{absl::StrCat("the first frame was \"", FrameName(first), "\", want \"hello\"")});
  peer->Close();
}

}  // namespace zdd
