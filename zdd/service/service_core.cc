// What a generation asks of the service around it, and the end of that.
#include "zdd/service/service_core.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

State StateOf(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
    case Phase::kJoining:
    case Phase::kAdopting:
    case Phase::kPrepared:
      return State::kStarting;
    case Phase::kAccepting:
    case Phase::kTaking:
    case Phase::kServing:
    case Phase::kSpawning:
    case Phase::kOffering:
    case Phase::kSharing:
    case Phase::kRecalling:
    case Phase::kAborting:
    case Phase::kYielding:
    case Phase::kStopping:
      return State::kServing;
    case Phase::kStandby:
    case Phase::kReleasing:
    case Phase::kConfirming:
      return State::kStandby;
    case Phase::kDraining:
    case Phase::kLeaving:
      return State::kDraining;
    case Phase::kDrained:
    case Phase::kFailed:
      return State::kDrained;
  }
  return State::kDrained;
}

}  // namespace

ServiceCore::ServiceCore(Options options) : options_(std::move(options)) {}

ServiceCore::~ServiceCore() = default;

void ServiceCore::Shutdown() {
  ProcessServices::Get().Remove(key_);
  if (callbacks_ != nullptr) callbacks_->Close();
  if (loop_ == nullptr) return;
  if (loop_->on_loop()) {
    // We may be called by one of the objects that are taken down: let it return first.
    loop_->Post([self = shared_from_this()] {
      self->TearDown();
      self->loop_->Close();
    });
    return;
  }
  loop_->Run([this] { TearDown(); });
  loop_->Close();
}

void ServiceCore::TearDown() {
  if (tickets_ != nullptr) {
    tickets_->SetWake({});
    tickets_->SetMigrateSink({});
  }
  signal_watch_.reset();
  signals_.reset();
  readiness_.reset();
  control_.reset();
  reserve_.GiveAll();
  lame_duck_.reset();
  drain_timer_.reset();
  progress_timer_.reset();
  drain_.reset();
  mover_.reset();
  generation_.reset();
  if (listeners_ != nullptr) listeners_->Detach();
  listeners_.reset();
  MutexLock lock(&mutex_);
  if (!start_result_.has_value()) start_result_ = absl::CancelledError("the service was destroyed");
  if (!final_report_.has_value()) {
    final_report_.emplace();
    final_report_->status = absl::CancelledError("the service was destroyed");
  }
  changed_.SignalAll();
}

void ServiceCore::SetState(State state, bool ready) {
  ready_.store(ready, std::memory_order_release);
  if (state_.exchange(state, std::memory_order_acq_rel) == state || !on_state_) return;
  callbacks_->Run([self = shared_from_this(), state] { self->on_state_(state); });
}

void ServiceCore::OnPhase(Phase phase) {
  generation_number_.store(generation_->number(), std::memory_order_release);
  const State state = StateOf(phase);
  SetState(state, state == State::kServing && phase != Phase::kStopping);
  control_->SetKept(phase == Phase::kServing);
  if (phase == Phase::kServing) {
    joined_spawn_ = false;
    reserve_.Refill();
  }
  if (phase == Phase::kStandby && options_.move_in_standby) BeginMoving();
  if (phase == Phase::kAborting) mover_->Stop("the upgrade is taken back");
  if (phase == Phase::kStopping) {
    lame_duck_ = std::make_unique<Timer>(loop_.get());
    lame_duck_->Start(options_.drain.delay, [this] { generation_->Handle(Event::kLameDuckOver); });
  }
  if (state == State::kStarting) return;
  readiness_.reset();
  MutexLock lock(&mutex_);
  if (start_result_.has_value()) return;
  // It may have connections, accepted for a predecessor that then came back. Whoever is told that
  // the start has failed exits, so he is told when they are finished.
  if (phase == Phase::kLeaving) return;
  const bool failed = phase == Phase::kFailed;
  absl::Status cause =
      generation_->cause().ok() ? absl::AbortedError("the start has failed") : generation_->cause();
  start_result_ = failed ? cause : absl::OkStatus();
  changed_.SignalAll();
}

absl::StatusOr<GenerationHost::Spawned> ServiceCore::Spawn() {
  reserve_.GiveForSpawn();
  SpawnRequest request;
  request.command = options_.command;
  request.allow_deleted_program = options_.allow_deleted_program;
  absl::StatusOr<ProcessServices::Spawned> spawned =
      ProcessServices::Get().Spawn(key_, image_, std::move(request));
  if (!spawned.ok()) return FdReserve::Explain(spawned.status());
  return GenerationHost::Spawned{std::move(spawned->channel), std::move(spawned->process)};
}

absl::StatusOr<OwnedFd> ServiceCore::ControlForOffer(OfferedSocket* offered) {
  reserve_.GiveAll();
  return control_->Offer(offered);
}

void ServiceCore::BecomeOwner() {
  control_->Own();
  log_->Info("owner", absl::StrCat("generation ", generation_->number(), " owns the service"),
             {{"generation", absl::StrCat(generation_->number())}});
  pid_->Own();
}

void ServiceCore::CloseControl() { control_->Close(); }

void ServiceCore::Unlink() {
  listeners_->Unlink();
  pid_->Remove();
  absl::Status unlinked = control_->Unlink();
  if (!unlinked.ok()) log_->Warning("control.unlink", unlinked.ToString());
}

void ServiceCore::OnReport(const Report& report) {
  joined_spawn_ = false;
  if (report.status.ok()) {
    handed_over_ = report;
    log_->Info("upgrade.promoted", report.ToText());
  } else {
    log_->Error("upgrade.rolled_back", report.ToText());
  }
  for (auto& done : std::exchange(upgrades_, {})) {
    callbacks_->Run([done = std::move(done), report]() mutable { done(report); });
  }
}

void ServiceCore::OnElderGone() {
  if (!waiting_upgrade_.has_value()) return;
  // The elder's channel tells of it, and is not to be disturbed meanwhile.
  loop_->Post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (self == nullptr || !self->waiting_upgrade_.has_value()) return;
    self->BeginUpgrade(*std::exchange(self->waiting_upgrade_, {}), /*by_signal=*/true, {});
  });
}

Report ServiceCore::FinalReport() {
  // How it came to serve, unless it has handed over since: then how that went.
  Report report = handed_over_.has_value() ? *handed_over_ : generation_->joined_report();
  if (!reason_.empty()) report.reason = reason_;
  report.self = {generation_->number(), getpid(), options_.version};
  report.serving = false;
  report.still_draining = generation_->elders();
  if (draining()) report.drain = drain_->report(MonotonicNow());
  return report;
}

void ServiceCore::OnEnd(const absl::Status& status) {
  Report report = FinalReport();
  report.status = status;
  ProcessServices::Get().Remove(key_);
  // After the last callback has run: what OnPhase posts comes before this.
  loop_->Post([self = shared_from_this(), report]() mutable {
    auto finish = [self, report] {
      // The embedder's uv_run() is to return.
      if (self->loop_->borrowed()) {
        self->loop_->Post([self] {
          self->TearDown();
          self->loop_->Close();
        });
      }
      MutexLock lock(&self->mutex_);
      if (!self->start_result_.has_value()) self->start_result_ = report.status;
      self->final_report_ = report;
      self->changed_.SignalAll();
    };
    self->listeners_->End();
    self->loop_->Post(std::move(finish));
  });
}

}  // namespace zdd
