#include "zdd/service/service_core.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/drain/plan.h"
#include "zdd/service/accept.h"
#include "zdd/service/check_options.h"
#include "zdd/service/pid_file.h"

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

// ---- The front door.

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
  if (loop_->borrowed()) {
    // The answer of a loop that is the caller's own cannot be waited for.
    absl::Status finished = listeners_->Finish();
    if (!finished.ok()) return finished;
    loop_->Post([self = shared_from_this()] { self->StartOnLoop(); });
    return absl::OkStatus();
  }
  absl::Status finished;
  loop_->Run([&] { finished = listeners_->Finish(); });
  if (!finished.ok()) return finished;
  loop_->Post([self = shared_from_this()] { self->StartOnLoop(); });
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
  if (stops_ > 1 && phase == Phase::kAborting) return generation_->Handle(Event::kDeadline);
  if (stops_ > 2 && drain_ != nullptr) {
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

void ServiceCore::SetState(State state, bool ready) {
  ready_.store(ready, std::memory_order_release);
  if (state_.exchange(state, std::memory_order_acq_rel) == state || !on_state_) return;
  callbacks_->Run([self = shared_from_this(), state] { self->on_state_(state); });
}

// ---- GenerationHost.

void ServiceCore::OnPhase(Phase phase) {
  generation_number_.store(generation_->number(), std::memory_order_release);
  const State state = StateOf(phase);
  SetState(state, state == State::kServing && phase != Phase::kStopping);
  control_->SetKept(phase == Phase::kServing);
  if (phase == Phase::kServing) {
    joined_spawn_ = false;
    reserve_.Refill();
  }
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
  if (options_.pid_file.empty()) return;
  absl::Status written = WritePidFile(options_.pid_file, getpid());
  if (!written.ok()) log_->Error("pid_file", written.ToString());
}

void ServiceCore::BeginDrain(bool leaving) {
  reserve_.GiveAll();
  mover_->Refuse();
  // Whoever may still accept holds a ticket: the drain does not end before it has stopped, or names
  // it.
  listeners_->HoldUntilStopped([this](const std::string& name) {
    return tickets_->Enter(tickets_->Kind(absl::StrCat("acceptor of ", name)));
  });
  DrainPlan plan = options_.drain;
  plan.delay = absl::ZeroDuration();
  drain_ = std::make_unique<Drain>(tickets_);
  drain_timer_ = std::make_unique<Timer>(loop_.get());
  tickets_->SetWake([post = loop_->poster(), weak = weak_from_this()] {
    post([weak] {
      if (auto self = weak.lock()) self->TickDrain();
    });
  });
  if (!leaving && stops_ == 0) BeginMoving();
  listeners_->End(mover_->movable());
  const std::string reason = leaving ? "leaving" : stops_ > 0 ? reason_ : "commit";
  drain_->Begin(plan, reason, MonotonicNow());
  if (stops_ > 1) drain_->Stop();
  loop_->Post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->TickDrain();
  });
}

// ---- Live migration.

void ServiceCore::WatchMigrations() {
  mover_ = std::make_unique<Mover>(loop_.get(), log_.get(), this);
  tickets_->SetMigrateSink([post = loop_->poster(), weak = weak_from_this()](
                               Ticket ticket, OwnedFd fd, std::string state) {
    // The ticket dies before its fd, also in a task that is dropped.
    struct Given {
      OwnedFd fd;
      Ticket ticket;
      std::string state;
    };
    post([weak, given = Given{std::move(fd), std::move(ticket), std::move(state)}]() mutable {
      auto self = weak.lock();
      if (self == nullptr || self->mover_ == nullptr) return;
      self->OnMigrate(std::move(given.ticket), std::move(given.fd), std::move(given.state));
    });
  });
}

void ServiceCore::BeginMoving() {
  std::map<std::string, std::string> movable = listeners_->Movable(generation_->peer_reads());
  if (movable.empty()) return;
  std::vector<std::string> kinds;
  for (const auto& [listener, format] : movable) kinds.push_back(listener);
  drain_->Move(
      kinds, [this] { return mover_->pending(); }, MonotonicNow());
  mover_->Begin(generation_->peer_number(), std::move(movable), generation_->peer_free_fds());
}

void ServiceCore::OnMigrate(Ticket ticket, OwnedFd fd, std::string state) {
  Migrant migrant;
  migrant.listener = tickets_->KindName(tickets_->KindOf(ticket));
  if (ListenerCore* listener = listeners_->Find(migrant.listener); listener != nullptr)
    migrant.peer = PeerAddress(fd.get(), listener->transport()).ToString();
  migrant.age = tickets_->AgeOf(ticket);
  migrant.fd = std::move(fd);
  migrant.ticket = std::move(ticket);
  migrant.state = std::move(state);
  mover_->Add(std::move(migrant));
}

bool ServiceCore::SendPair(OwnedFd theirs) { return generation_->SendPair(std::move(theirs)); }

void ServiceCore::OnMoved(Ticket ticket) {
  if (drain_ != nullptr) return drain_->Moved(std::move(ticket));
  ticket.Reset();
}

void ServiceCore::OnCameBack(Migrant migrant) {
  if (drain_ != nullptr) {
    drain_->CameBack(migrant.ticket, migrant.fd.get());
  } else {
    tickets_->Revive(migrant.ticket, migrant.fd.get(), Ask::kNone);
  }
  ListenerCore* const listener = listeners_->Find(migrant.listener);
  if (listener != nullptr && listener->Deliver(std::move(migrant.fd), std::move(migrant.ticket),
                                               std::move(migrant.state), nullptr)) {
    return;
  }
  log_->Error("migration.lost",
              absl::StrCat("Ticket::Migrate() of \"", migrant.listener,
                           "\": no listener of that name gives connections (Accept() or "
                           "OnConnection), so this one was closed"));
}

void ServiceCore::OnMovingEnded() {
  if (drain_ == nullptr) return;
  drain_->EndMoving(MonotonicNow());
  TickDrain();
}

void ServiceCore::OnPair(int generation, OwnedFd pair) {
  mover_->Receive(generation, std::move(pair));
}

void ServiceCore::OnGenerationDead(int generation) { mover_->OnGenerationDead(generation); }

absl::Status ServiceCore::CheckMigrant(const BatchItem& item) {
  const ListenerCore* const listener = listeners_->Find(item.listener);
  if (listener == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("this version has no listener \"", item.listener, "\""));
  }
  if (listener->Reads(item.format)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("listener \"", item.listener,
                                                 "\" does not read the format \"", item.format,
                                                 "\" in this version"));
}

void ServiceCore::Adopt(Migrant migrant, Task taken) {
  ListenerCore* const listener = listeners_->Find(migrant.listener);
  if (listener == nullptr) return;
  Ticket ticket = listener->Enter(migrant.fd.get());
  tickets_->MarkAdopted(ticket);
  listener->Deliver(std::move(migrant.fd), std::move(ticket), std::move(migrant.state),
                    std::move(taken));
}

void ServiceCore::TickDrain() {
  if (drain_ == nullptr || generation_ == nullptr) return;
  const Instant now = MonotonicNow();
  const Instant next = drain_->Tick(now);
  if (!drain_->drained()) {
    if (next == absl::InfiniteDuration()) return drain_timer_->Cancel();
    return drain_timer_->Start(next - now, [this] { TickDrain(); });
  }
  if (std::exchange(drained_, true)) return;
  generation_->Handle(Event::kAllGone);
}

void ServiceCore::HurryDrain() {
  if (drain_ == nullptr) return;
  drain_->Stop();
  loop_->Post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->TickDrain();
  });
}

void ServiceCore::CloseControl() { control_->Close(); }

void ServiceCore::Unlink() {
  listeners_->Unlink();
  if (!options_.pid_file.empty()) {
    absl::Status removed = RemovePidFile(options_.pid_file, getpid());
    if (!removed.ok()) log_->Warning("pid_file", removed.ToString());
  }
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
  if (drain_ != nullptr) report.drain = drain_->report(MonotonicNow());
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
