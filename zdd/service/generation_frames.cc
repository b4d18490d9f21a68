// The half of Generation that speaks: what frames mean, and what effects send.
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "zdd/base/status.h"
#include "zdd/service/generation.h"

namespace zdd {

Peer::Listener Generation::HandoffListener() {
  Peer::Listener listener;
  listener.on_frame = [this](Frame frame, std::vector<OwnedFd> fds) {
    OnFrame(std::move(frame), std::move(fds));
  };
  listener.on_garbage = [this](absl::Status status) {
    Step(Event::kGarbage, Annotate(status, absl::StrCat("pid ", peer_->info.pid)));
  };
  listener.on_dead = [this] { OnPeerDead(); };
  return listener;
}

void Generation::OnFrame(Frame frame, std::vector<OwnedFd> fds) {
  clock_.Heard(peer_->last_heard());
  if (auto* hello = std::get_if<HelloFrame>(&frame)) return OnHello(*hello);
  if (auto* prepared = std::get_if<PreparedFrame>(&frame))
    return OnPrepared(std::move(*prepared), std::move(fds));
  if (std::holds_alternative<OfferAckFrame>(frame)) return SendNextChunk();
  if (std::holds_alternative<DrainingFrame>(frame)) return;
  if (auto* reads = std::get_if<ReadsFrame>(&frame)) {
    if (peer_reads_.size() < kMigratingListenersMax) peer_reads_[reads->listener] = reads->formats;
    return;
  }
  if (auto* serving = std::get_if<ServingFrame>(&frame)) added_ = serving->added;
  absl::Status cause;
  if (auto* fail = std::get_if<FailFrame>(&frame)) cause = absl::AbortedError(fail->reason);
  if (auto* abort = std::get_if<AbortFrame>(&frame)) cause = absl::AbortedError(abort->reason);
  if (auto* release = std::get_if<ReleaseFrame>(&frame); release != nullptr && release->wish) {
    Step(Event::kWishFrame, absl::OkStatus());
  }
  absl::optional<Event> event = EventOf(frame);
  if (event.has_value()) return Step(*event, cause);
  Step(Event::kGarbage,
       absl::DataLossError(absl::StrCat("pid ", peer_->info.pid, " sent a frame \"",
                                        FrameName(frame), "\" in ", PhaseName(machine_.phase()))));
}

void Generation::OnHello(const HelloFrame& hello) {
  absl::Status refused;
  if (hello.name != context_.service) {
    refused = absl::InvalidArgumentError(
        absl::StrCat("successor is service \"", hello.name, "\", want \"", context_.service, "\""));
  } else if (absl::StatusOr<int> protocol = ChooseProtocol(hello.protocols); !protocol.ok()) {
    refused = protocol.status();
  }
  if (!refused.ok()) {
    peer_->Send(RefusedFrame{std::string(refused.message())});
    return Step(Event::kGarbage, refused);
  }
  // A program that starts another one and waits, as a shell script without exec does.
  if (process_ != nullptr && peer_->speaker() > 0 && peer_->speaker() != process_->pid()) {
    context_.log->Info("handoff.wrapped",
                       absl::StrCat("pid ", process_->pid(), " was started, pid ", peer_->speaker(),
                                    " is the successor: a wrapper should exec"));
    peer_->FollowSpeaker();
    process_->SetWrapped(peer_->info.pid, Duplicate(peer_->pidfd()));
    wrapped_ = true;
  }
  hello_ = hello;
  peer_->info.version = hello.version;
  if (peer_->info.pid == 0) peer_->info.pid = hello.pid;
  Step(Event::kHelloFrame, absl::OkStatus());
}

void Generation::OnVisitor(std::shared_ptr<Peer> peer, const HelloFrame& hello) {
  if (machine_.phase() != Phase::kServing) {
    BusyFrame busy;
    busy.pid = peer_ != nullptr ? peer_->info.pid : 0;
    busy.state = std::string(PhaseName(machine_.phase()));
    busy.retry_after = absl::Seconds(1);
    peer->Send(busy);
    return peer->Close();
  }
  if (absl::Status status = CanUpgrade(); !status.ok()) {
    peer->Send(RefusedFrame{std::string(status.message())});
    return peer->Close();
  }
  peer_ = std::move(peer);
  peer_->SetListener(HandoffListener());
  reason_ = absl::StrCat("upgrade by pid ", peer_->info.pid);
  BeginHandoff();
  peer_->info.number = last_number_;
  OnHello(hello);
}

void Generation::OnPrepared(PreparedFrame frame, std::vector<OwnedFd> fds) {
  if (machine_.phase() != Phase::kOffering) return Step(Event::kPreparedFrame, absl::OkStatus());
  std::move(frame.claims.begin(), frame.claims.end(), std::back_inserter(claims_));
  std::move(frame.sockets.begin(), frame.sockets.end(), std::back_inserter(peer_sockets_));
  std::move(fds.begin(), fds.end(), std::back_inserter(peer_fds_));
  // It claims what we have offered, and binds for names of ours.
  const size_t listeners = context_.listeners->size();
  if (claims_.size() > listeners || peer_sockets_.size() > listeners * kSocketsPerListenerMax) {
    return Step(Event::kGarbage,
                absl::DataLossError(absl::StrCat(
                    "the successor claims ", claims_.size(), " listeners and sends ",
                    peer_sockets_.size(), " sockets, for ", listeners, " listeners of ours")));
  }
  if (!frame.last) return;
  if (claims_.empty() && peer_sockets_.empty() && context_.listeners->size() > 0) {
    return Step(Event::kFailFrame,
                absl::FailedPreconditionError(
                    absl::StrCat("the successor serves none of the ", context_.listeners->size(),
                                 " listeners: its clients would have nobody")));
  }
  Step(Event::kPreparedFrame, absl::OkStatus());
}

bool Generation::SendPair(OwnedFd pair) {
  if (peer_ == nullptr || peer_->dead() || peer_->closed()) return false;
  std::vector<OwnedFd> fds;
  fds.push_back(std::move(pair));
  peer_->Send(PairFrame{}, std::move(fds));
  return true;
}

void Generation::OnPeerDead() {
  context_.host->OnGenerationDead(peer_->info.number);
  absl::Status cause;
  if (process_ != nullptr && !wrapped_) {
    const bool early = machine_.phase() == Phase::kSpawning;
    cause = absl::UnavailableError(absl::StrCat(
        "successor pid ", process_->pid(), " ", process_->ExitText().value_or("died"), " in ",
        PhaseName(machine_.phase()),
        early ? ", before Service::Create(): its own output says why; or run the program by hand, "
                "with the same words"
              : ""));
  } else {
    cause = absl::UnavailableError(
        absl::StrCat("pid ", peer_->info.pid, " died in ", PhaseName(machine_.phase())));
  }
  const Phase phase = machine_.phase();
  if (phase == Phase::kAdopting || phase == Phase::kPrepared || phase == Phase::kAccepting ||
      phase == Phase::kTaking) {
    report_.orphaned = true;
    context_.log->Warning("handoff.orphaned", std::string(cause.message()));
    cause = absl::OkStatus();  // we go on alone
  }
  Step(Event::kPeerDead, cause);
}

void Generation::Spawn() {
  BeginHandoff();
  absl::StatusOr<GenerationHost::Spawned> spawned = context_.host->Spawn();
  if (!spawned.ok()) return Step(Event::kSpawnFailed, spawned.status());
  process_ = std::move(spawned->process);
  peer_ = std::make_shared<Peer>(context_.loop, std::move(spawned->channel), process_->Pidfd(),
                                 HandoffListener());
  peer_->info.pid = process_->pid();
  peer_->info.number = last_number_;
  peer_->Start();
}

void Generation::SendOffer() {
  if (absl::Status status = BuildOffer(); !status.ok()) {
    peer_->Send(RefusedFrame{std::string(status.message())});
    return Step(Event::kRollBack, Annotate(status, "offer the listeners"));
  }
  SendNextChunk();
}

absl::Status Generation::BuildOffer() {
  std::vector<OwnedFd> fds;
  OfferedSocket control;
  absl::StatusOr<OwnedFd> control_fd = context_.host->ControlForOffer(&control);
  if (!control_fd.ok()) return control_fd.status();
  absl::StatusOr<Token> token = Token::Create();
  if (!token.ok()) return token.status();
  fds.push_back(*std::move(control_fd));
  std::vector<OfferedSocket> sockets = {control};
  absl::StatusOr<std::vector<OfferedSocket>> offered = context_.listeners->Offer(&fds);
  if (!offered.ok()) return offered.status();
  std::move(offered->begin(), offered->end(), std::back_inserter(sockets));
  if (static_cast<int>(fds.size()) + 1 > hello_.free_fds) {
    return absl::ResourceExhaustedError(absl::StrCat("the successor can open ", hello_.free_fds,
                                                     " more files, ", fds.size() + 1,
                                                     " are needed: raise its limit (ulimit -n)"));
  }

  WelcomeFrame welcome;
  welcome.generation = last_number_;
  welcome.pid = getpid();
  welcome.version = context_.version;
  welcome.predecessor = number_;
  welcome.listener_count = static_cast<int>(context_.listeners->size());
  welcome.socket_count = static_cast<int>(fds.size());
  welcome.silence = context_.limits.silence;
  welcome.drain_timeout = context_.drain_timeout;
  welcome.ready_timeout = context_.limits.ready;
  std::vector<OwnedFd> token_fd;
  token_fd.push_back(Duplicate(token->fd()));
  if (!token_fd.back().valid()) return ErrnoStatus(errno, "duplicate the token");
  token_ = *std::move(token);

  chunks_.clear();
  size_t next = 0;
  for (OfferFrame& frame : SplitOffer(std::move(sockets))) {
    Chunk chunk;
    for (size_t i = 0; i < frame.sockets.size(); ++i) chunk.fds.push_back(std::move(fds[next++]));
    chunk.frame = std::move(frame);
    chunks_.push_back(std::move(chunk));
  }
  peer_->Send(welcome, std::move(token_fd));
  return absl::OkStatus();
}

void Generation::SendNextChunk() {
  if (chunks_.empty()) return;
  Chunk chunk = std::move(chunks_.front());
  chunks_.pop_front();
  peer_->Send(chunk.frame, std::move(chunk.fds));
}

void Generation::SendPrepared() {
  std::vector<OwnedFd> fds;
  absl::StatusOr<std::vector<OfferedSocket>> own = context_.listeners->OwnForPeer(&fds);
  if (!own.ok()) {
    peer_->Send(FailFrame{std::string(own.status().message())});
    return;
  }
  for (const ReadsFrame& reads : context_.listeners->Reads()) peer_->Send(reads);
  size_t next = 0;
  for (PreparedFrame& frame : SplitPrepared(context_.listeners->Claims(), *std::move(own))) {
    std::vector<OwnedFd> part;
    for (size_t i = 0; i < frame.sockets.size(); ++i) part.push_back(std::move(fds[next++]));
    peer_->Send(frame, std::move(part));
  }
}

// A listener on which nobody waits yet is a hole: the predecessor goes on accepting until somebody
// does.
void Generation::SendAccepting() {
  accepting_deferred_ = !context_.listeners->ready();
  if (!accepting_deferred_) peer_->Send(AcceptingFrame{});
}

// What only one generation may read has to be let go of before the other may take it.
void Generation::SendRelease() {
  std::weak_ptr<bool> weak = alive_;
  context_.listeners->WhenStopped([this, weak, peer = peer_, wish = machine_.wish()] {
    if (weak.expired() || peer != peer_ || machine_.phase() != Phase::kReleasing) return;
    peer_->Send(ReleaseFrame{wish});
  });
}

void Generation::BorrowPeerSockets() {
  SetPeerDrain(context_.drain_timeout + absl::Seconds(1));
  context_.listeners->Claim(claims_);
  for (size_t i = 0; i < peer_sockets_.size() && i < peer_fds_.size(); ++i) {
    absl::Status status = context_.listeners->Borrow(peer_sockets_[i], std::move(peer_fds_[i]));
    if (!status.ok()) context_.log->Warning("handoff.borrow", status.ToString());
  }
  peer_sockets_.clear();
  peer_fds_.clear();
}

void Generation::KeepElder() {
  report_.status = absl::OkStatus();
  report_.total = MonotonicNow() - handoff_began_;
  report_.listeners = context_.listeners->reports();
  joined_report_ = report_;
  context_.listeners->WarnOfLeft();
  if (peer_->dead()) {
    peer_->Close();
  } else {
    AddElder(peer_->info, peer_, OwnedFd());
  }
  peer_.reset();
  token_.reset();
}

void Generation::AddElder(GenerationInfo info, std::shared_ptr<Peer> peer, OwnedFd pidfd) {
  const int number = info.number;
  Elder elder;
  elder.info = std::move(info);
  elder.pidfd = std::move(pidfd);
  if (peer != nullptr) {
    Peer::Listener listener;
    listener.on_dead = [this, number] { OnElderDead(number); };
    listener.on_garbage = [this, number](const absl::Status&) { RemoveElder(number); };
    listener.on_frame = [this, number](Frame frame, std::vector<OwnedFd> fds) {
      if (std::holds_alternative<WishFrame>(frame)) return Handle(Event::kWishFrame);
      if (std::holds_alternative<PairFrame>(frame))
        return context_.host->OnPair(number, std::move(fds[0]));
      auto* draining = std::get_if<DrainingFrame>(&frame);
      if (draining == nullptr) return;
      size_t next = 0;
      for (const OlderGeneration& older : draining->older) {
        OwnedFd pidfd;
        if (older.pidfd && next < fds.size()) pidfd = std::move(fds[next++]);
        if (pidfd.valid() && elders_.size() < kOlderGenerationsMax)
          AddElder({older.number, older.pid, older.version}, nullptr, std::move(pidfd));
      }
    };
    peer->SetListener(std::move(listener));
    elder.peer = std::move(peer);
  } else {
    elder.death = std::make_unique<Watch>(context_.loop, elder.pidfd.get(), Watch::kReadable,
                                          [this, number] { OnElderDead(number); });
  }
  elders_.push_back(std::move(elder));
}

void Generation::OnElderDead(int number) {
  context_.host->OnGenerationDead(number);
  RemoveElder(number);
}

// Not listened to any more: it is dead, or speaks garbage and lives on, with its connections.
void Generation::RemoveElder(int number) {
  for (auto it = elders_.begin(); it != elders_.end(); ++it) {
    if (it->info.number != number) continue;
    if (it->peer != nullptr) it->peer->Close();
    const pid_t pid = it->info.pid;
    elders_.erase(it);
    context_.log->Info("elder.gone",
                       absl::StrCat("generation ", number, " (pid ", pid, ") is gone"),
                       {{"generation", absl::StrCat(number)}});
    return context_.host->OnElderGone();
  }
}

void Generation::ForgetPeer() {
  if (peer_ != nullptr) peer_->Close();
  peer_.reset();
  token_.reset();
  chunks_.clear();
  claims_.clear();
  peer_reads_.clear();
  peer_sockets_.clear();
  peer_fds_.clear();
  context_.listeners->ForgetPeer();
  if (process_ == nullptr) return;
  // One that was killed is still to be collected from the kernel.
  std::shared_ptr<SuccessorProcess> process = std::exchange(process_, nullptr);
  if (process->ExitText().has_value()) return;
  OwnedFd pidfd = process->Pidfd();
  if (!pidfd.valid()) return;
  auto watch = std::make_unique<Watch>(context_.loop, pidfd.get(), Watch::kReadable,
                                       [this, process, raw = pidfd.get()] {
                                         if (!process->ExitText().has_value()) return;
                                         for (auto it = dying_.begin(); it != dying_.end(); ++it) {
                                           if (it->first.get() != raw) continue;
                                           it->second.reset();
                                           dying_.erase(it);
                                           return;
                                         }
                                       });
  dying_.emplace_back(std::move(pidfd), std::move(watch));
}

// Tells the successor which generations still drain, so that it knows when they are gone.
void Generation::SendElders() {
  DrainingFrame frame;
  std::vector<OwnedFd> fds;
  for (const Elder& elder : elders_) {
    OwnedFd pidfd = Duplicate(elder.peer != nullptr ? elder.peer->pidfd() : elder.pidfd.get());
    frame.older.push_back({elder.info.number, elder.info.pid, elder.info.version, pidfd.valid()});
    if (pidfd.valid()) fds.push_back(std::move(pidfd));
  }
  peer_->Send(frame, std::move(fds));
}

void Generation::FinishReport(absl::Status status) {
  const Instant now = MonotonicNow();
  Report report = report_;
  report.status = std::move(status);
  report.total = now - handoff_began_;
  report.self = {number_, getpid(), context_.version};
  if (peer_ != nullptr) report.peer = peer_->info;
  report.still_draining = elders();
  report.serving = !report.status.ok() && !machine_.stopping();
  if (report.status.ok()) report.listeners = context_.listeners->FatesUnderSuccessor();
  for (const std::string& added : std::exchange(added_, {})) {
    std::pair<std::string, std::string> entry = absl::StrSplit(added, absl::MaxSplits(' ', 1));
    report.listeners.push_back({entry.first, entry.second, ListenerReport::Fate::kAdded, {}});
  }
  context_.host->OnReport(report);
}

}  // namespace zdd
