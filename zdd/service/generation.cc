#include "zdd/service/generation.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/service/deadline_text.h"

namespace zdd {
namespace {

// How long a successor that never accepted may take to end.
constexpr absl::Duration kNothingInHand = absl::Seconds(1);

EventLog::Fields FieldsOf(Phase phase, int number) {
  return {{"phase", std::string(PhaseName(phase))}, {"generation", absl::StrCat(number)}};
}

}  // namespace

Generation::Generation(GenerationContext context, Phase start, int number)
    : context_(std::move(context)),
      machine_(start),
      clock_(context_.limits),
      timer_(context_.loop),
      number_(number),
      last_number_(number),
      announced_(start),
      phase_began_(MonotonicNow()) {}

Generation::~Generation() {
  *alive_ = false;
  if (peer_ != nullptr) peer_->Close();
  for (Elder& elder : elders_) {
    if (elder.peer != nullptr) elder.peer->Close();
  }
}

void Generation::Join(JoinedHandoff joined) {
  peer_ = std::make_shared<Peer>(context_.loop, std::move(joined.channel), std::move(joined.pidfd),
                                 HandoffListener());
  peer_->info = joined.predecessor;
  token_ = std::move(joined.token);
  number_ = last_number_ = joined.welcome.generation;
  handoff_began_ = MonotonicNow();
  report_.peer = joined.predecessor;
  peer_free_fds_ = joined.welcome.free_fds;
  Step(Event::kOfferFrame, absl::OkStatus());
  peer_->Start();
}

void Generation::Start() {
  if (machine_.phase() != Phase::kStarting) return;
  phase_began_ = MonotonicNow();
  clock_.Enter(Phase::kStarting, phase_began_);
  Rearm();
}

void Generation::Handle(Event event, absl::Status cause) {
  // What the peer has said counts before what anybody else decides (HandoffMachine, rule 1).
  if (std::shared_ptr<Peer> peer = peer_) peer->ReadAll();
  Step(event, std::move(cause));
}

void Generation::Step(Event event, absl::Status cause) {
  const Phase before = machine_.phase();
  if (cause.ok()) cause = CauseOf(event);
  if (!cause.ok() && cause_.ok()) cause_ = std::move(cause);
  std::vector<Effect> effects = machine_.OnEvent(event);
  if (event == Event::kSilent || event == Event::kStuck) report_.helped = true;
  // A kept upgrade that follows a failed one goes through serving in no time: spawning after
  // spawning is a change too.
  const bool spawns = absl::c_linear_search(effects, Effect::kSpawn);
  if (spawns) announced_ = Phase::kServing;
  if (machine_.phase() != before || spawns) OnChange(before);
  context_.listeners->SetAccepts(machine_.accepts(), machine_.serves_exclusive());
  std::shared_ptr<bool> alive = alive_;
  for (Effect effect : effects) {
    Do(effect);
    if (!*alive) return;
  }
  Announce();
  Rearm();
}

// An effect may have led on to another phase, which is then announced already.
void Generation::Announce() {
  const Phase phase = machine_.phase();
  if (std::exchange(announced_, phase) == phase) return;
  context_.log->Info(absl::StrCat("phase.", PhaseName(phase)),
                     absl::StrCat("generation ", number_, " is ", PhaseName(phase)),
                     FieldsOf(phase, number_));
  context_.host->OnPhase(phase);
}

void Generation::SetPeerDrain(absl::Duration limit) {
  context_.limits.peer_drain = limit;
  clock_.SetLimits(context_.limits);
}

// What is told of a handoff begins with it.
void Generation::BeginHandoff() {
  ++last_number_;
  cause_ = absl::OkStatus();
  // Until it is told to accept it has nothing in hand that it would have to finish.
  SetPeerDrain(kNothingInHand);
  wrapped_ = false;
  handoff_began_ = MonotonicNow();
  queues_ = QueueWatch();
  Report fresh;
  fresh.reason = std::exchange(reason_, "");
  report_ = std::move(fresh);
}

void Generation::OnChange(Phase before) {
  const Instant now = MonotonicNow();
  const Phase after = machine_.phase();
  if (before != Phase::kServing) {
    report_.phases.push_back({std::string(PhaseName(before)), now - phase_began_});
  }
  phase_began_ = now;
  clock_.Enter(after, now);
  // Before the effects: whoever watches (and kills) sees each phase from its first instant.
  context_.log->Debug(absl::StrCat("enter.", PhaseName(after)),
                      absl::StrCat("generation ", number_, " enters ", PhaseName(after)),
                      FieldsOf(after, number_));
}

// What to say of an event that brings no reason of its own.
absl::Status Generation::CauseOf(Event event) const {
  const std::string who = absl::StrCat("pid ", peer_ != nullptr ? peer_->info.pid : 0);
  const std::string phase(PhaseName(machine_.phase()));
  switch (event) {
    case Event::kDeadline:
      return absl::DeadlineExceededError(
          DeadlineText(machine_.phase(), MonotonicNow() - phase_began_, context_.limits, who));
    case Event::kSilenceOver:
      return absl::DeadlineExceededError(absl::StrCat("nothing heard from ", who, " for ",
                                                      absl::FormatDuration(context_.limits.silence),
                                                      " (options.silence) in ", phase));
    case Event::kTokenStolen:
      return absl::DataLossError(absl::StrCat(who, " took the token before it was prepared"));
    case Event::kGarbage:
      return absl::DataLossError(absl::StrCat(who, " speaks garbage in ", phase));
    case Event::kStop:
      return absl::CancelledError("the service is being stopped");
    case Event::kRollBack:
      return absl::AbortedError("rolled back");
    default:
      return absl::OkStatus();
  }
}

void Generation::Do(Effect effect) {
  switch (effect) {
    case Effect::kNone:
      return;
    case Effect::kSpawn:
      return Spawn();
    case Effect::kKillPeer:
      context_.log->Warning("handoff.killed", absl::StrCat("pid ", peer_->info.pid,
                                                           " is killed: ", cause_.message()));
      return process_ != nullptr ? process_->Kill() : peer_->Kill();
    case Effect::kSendOffer:
      return SendOffer();
    case Effect::kSendPrepared:
      return SendPrepared();
    case Effect::kSendAccept:
      return SendAccept();
    case Effect::kSendAccepting:
      return SendAccepting();
    case Effect::kSendRelease:
      return SendRelease();
    case Effect::kSendServing:
      return peer_->Send(ServingFrame{context_.listeners->Added()});
    case Effect::kSendAbort:
      return peer_->Send(AbortFrame{std::string(cause_.message())});
    case Effect::kSendFail:
      return peer_->Send(FailFrame{std::string(cause_.message())});
    case Effect::kSendWish:
      return peer_->Send(WishFrame{});
    case Effect::kTakeToken: {
      // One that was never offered is nobody else's.
      const bool mine = !token_.has_value() || token_->Take();
      return Step(mine ? Event::kTokenTaken : Event::kTokenGone, absl::OkStatus());
    }
    case Effect::kAdoptPeerSockets:
      return BorrowPeerSockets();
    case Effect::kBecomeOwner:
      return context_.host->BecomeOwner();
    case Effect::kCloseUnclaimed:
      return context_.listeners->CloseUnclaimed();
    case Effect::kCloseListeners:
      context_.host->CloseControl();
      return context_.listeners->Close(/*take_queued=*/machine_.phase() == Phase::kDraining);
    case Effect::kUnlinkSockets:
      return context_.host->Unlink();
    case Effect::kBeginDrain:
      return context_.host->BeginDrain(machine_.phase() == Phase::kLeaving);
    case Effect::kHurryDrain:
      return context_.host->HurryDrain();
    case Effect::kReportPromoted:
      SendElders();
      return FinishReport(absl::OkStatus());
    case Effect::kReportFailed:
      return FinishReport(cause_.ok() ? absl::AbortedError("the handoff failed") : cause_);
    case Effect::kKeepElder:
      return KeepElder();
    case Effect::kForgetPeer:
      return ForgetPeer();
    case Effect::kEnd:
      return context_.host->OnEnd(machine_.phase() == Phase::kDrained ? absl::OkStatus() : cause_);
  }
}

void Generation::Rearm() {
  const Instant next = clock_.next();
  if (next == absl::InfiniteDuration()) return timer_.Cancel();
  timer_.Start(next - MonotonicNow(), [this] { OnTimer(); });
}

void Generation::OnTimer() {
  if (std::shared_ptr<Peer> peer = peer_) peer->ReadAll();
  if (peer_ != nullptr) clock_.Heard(peer_->last_heard());
  std::shared_ptr<bool> alive = alive_;
  for (Event event : clock_.Tick(MonotonicNow())) {
    absl::Status cause;
    // A server that hangs behind a live loop would keep its clients waiting once we let go.
    if (event == Event::kSoakOver && queues_.stuck().has_value()) {
      event = Event::kRollBack;
      cause = absl::UnavailableError(absl::StrCat("the successor accepts nothing on listener \"",
                                                  queues_.stuck()->listener, "\" (",
                                                  queues_.stuck()->waiting, " wait)"));
    }
    Step(event, std::move(cause));
    if (!*alive) return;
  }
  if (peer_ != nullptr && HandoffClock::Pings(machine_.phase())) {
    peer_->Send(PingFrame{});
    WatchQueues();
    if (!*alive) return;
  }
  Rearm();
}

void Generation::WatchQueues() {
  if (machine_.phase() != Phase::kStandby && machine_.phase() != Phase::kReleasing) return;
  const bool helping = machine_.accepts() == Accepts::kAll;
  if (!queues_.Look(context_.listeners->ClaimedQueues(), MonotonicNow(), helping)) return;
  const std::string& listener = queues_.stuck()->listener;
  context_.log->Warning("handoff.stuck",
                        absl::StrCat("the successor accepts nothing on listener \"", listener,
                                     "\" for ", absl::FormatDuration(kStuckAfter), ": helping"),
                        {{"listener", listener}});
  Step(Event::kStuck, absl::OkStatus());
}

absl::Status Generation::CanUpgrade() const {
  const Phase phase = machine_.phase();
  if (phase == Phase::kServing) {
    if (static_cast<int>(elders_.size()) < context_.draining_max) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("upgrade: ", elders_.size(), " older generations still drain (limit ",
                     context_.draining_max, "), the oldest is pid ", elders_.front().info.pid));
  }
  if (machine_.in_handoff() && machine_.owner()) {
    return absl::UnavailableError(absl::StrCat("upgrade: a handoff to pid ",
                                               peer_ != nullptr ? peer_->info.pid : 0, " is in ",
                                               PhaseName(phase)));
  }
  if (peer_ != nullptr && (phase == Phase::kDraining || machine_.in_handoff())) {
    return absl::FailedPreconditionError(
        absl::StrCat("upgrade: this generation is ", PhaseName(phase),
                     " and does not own the service: ask pid ", peer_->info.pid));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("upgrade: this generation is ", PhaseName(phase)));
}

std::vector<GenerationInfo> Generation::elders() const {
  std::vector<GenerationInfo> infos;
  for (const Elder& elder : elders_) infos.push_back(elder.info);
  return infos;
}

void Generation::OnListenerReady() {
  if (accepting_deferred_ && machine_.phase() == Phase::kAccepting) SendAccepting();
}

}  // namespace zdd
