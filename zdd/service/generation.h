// Generation is the shell around HandoffMachine: it tells the machine what happens between this
// generation and its peer, and carries out what that decides, on channels, sockets, processes and
// the token.
//
//   Generation generation(context, Phase::kStarting, /*number=*/1);
//   generation.Handle(Event::kReady);
//   generation.Handle(Event::kRollBack, absl::AbortedError("operator"));
//
// Threads: the loop. Lifetime: dies with the service; its host and listeners outlive it.
#ifndef ZDD_SERVICE_GENERATION_H_
#define ZDD_SERVICE_GENERATION_H_

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zdd/handoff/handoff_clock.h"
#include "zdd/handoff/handoff_machine.h"
#include "zdd/handoff/queue_watch.h"
#include "zdd/service/event_log.h"
#include "zdd/service/join.h"
#include "zdd/service/listener_set.h"
#include "zdd/service/peer.h"
#include "zdd/service/report.h"
#include "zdd/service/successor_process.h"
#include "zdd/service/token.h"

namespace zdd {

// What a generation asks of the service around it.
class GenerationHost {
 public:
  struct Spawned {
    FdChannel channel;
    std::shared_ptr<SuccessorProcess> process;
  };

  virtual ~GenerationHost() = default;
  virtual void OnPhase(Phase phase) = 0;        // after each change
  virtual absl::StatusOr<Spawned> Spawn() = 0;  // a successor with a channel to it
  // The control socket goes along in an offer: the first thing that an offer opens.
  virtual absl::StatusOr<OwnedFd> ControlForOffer(OfferedSocket* offered) = 0;
  virtual void BecomeOwner() = 0;             // control socket, pid file
  virtual void BeginDrain(bool leaving) = 0;  // answered by Event::kAllGone
  virtual void HurryDrain() = 0;
  virtual void CloseControl() = 0;
  virtual void Unlink() = 0;                        // own files, the last owner's farewell
  virtual void OnReport(const Report& report) = 0;  // of a handoff that this generation gave
  virtual void OnElderGone() = 0;
  // A pair on which that generation's connections come (zdd/migration).
  virtual void OnPair(int generation, OwnedFd pair) = 0;
  virtual void OnGenerationDead(int generation) = 0;
  virtual void OnEnd(const absl::Status& status) = 0;
};

struct GenerationContext {
  Loop* loop = nullptr;
  EventLog* log = nullptr;
  ListenerSet* listeners = nullptr;
  GenerationHost* host = nullptr;
  std::string service;
  std::string version;
  HandoffLimits limits;
  absl::Duration drain_timeout;
  int draining_max = 8;
};

class Generation {
 public:
  Generation(GenerationContext context, Phase start, int number);
  ~Generation();

  // A successor's side: what Create() has received so far. Then the machine is in kAdopting.
  void Join(JoinedHandoff joined);

  // Start() was called. The time in which a first generation has to get ready begins; a successor's
  // began with its predecessor's offer.
  void Start();

  // Something happened that is no frame. `cause` says why, if it ends a handoff.
  void Handle(Event event, absl::Status cause = absl::OkStatus());

  // A process that came to the control socket and said hello.
  void OnVisitor(std::shared_ptr<Peer> peer, const HelloFrame& hello);

  const HandoffMachine& machine() const { return machine_; }
  Phase phase() const { return machine_.phase(); }
  int number() const { return number_; }
  const absl::Status& cause() const { return cause_; }
  // Why a handoff cannot begin now; Ok if it can.
  absl::Status CanUpgrade() const;
  std::vector<GenerationInfo> elders() const;
  // Of the takeover by which this generation came to serve, if it did; for Wait().
  const Report& joined_report() const { return joined_report_; }
  void OnListenerReady();

  // Of the successor, for connections that move to it: by listener, in which formats it reads them;
  // how many descriptors it can take; and the way to it. False: it is gone.
  const std::map<std::string, std::vector<std::string>>& peer_reads() const { return peer_reads_; }
  int peer_free_fds() const { return hello_.free_fds; }
  int peer_number() const { return peer_ != nullptr ? peer_->info.number : 0; }
  bool SendPair(OwnedFd pair);
  // What the next handoff's report says of its beginning.
  void SetReason(std::string reason) { reason_ = std::move(reason); }

 private:
  struct Elder {
    GenerationInfo info;
    std::shared_ptr<Peer> peer;  // null: only watched
    OwnedFd pidfd;
    std::unique_ptr<Watch> death;
  };
  struct Chunk {
    Frame frame;
    std::vector<OwnedFd> fds;
  };

  void Step(Event event, absl::Status cause);
  void BeginHandoff();
  // How long a successor that is aborted may take to finish what it has in hand.
  void SetPeerDrain(absl::Duration limit);
  void OnChange(Phase before);
  void Announce();
  void Do(Effect effect);
  void Rearm();
  void OnTimer();
  void WatchQueues();
  absl::Status CauseOf(Event event) const;

  // Frames.
  Peer::Listener HandoffListener();
  void OnFrame(Frame frame, std::vector<OwnedFd> fds);
  void OnHello(const HelloFrame& hello);
  void OnPrepared(PreparedFrame frame, std::vector<OwnedFd> fds);
  void OnPeerDead();

  // Effects.
  void Spawn();
  void SendOffer();
  absl::Status BuildOffer();
  void SendNextChunk();
  void SendPrepared();
  void SendAccepting();
  void SendRelease();
  void SendServing();
  void BorrowPeerSockets();
  void SendElders();
  void KeepElder();
  void ForgetPeer();
  void FinishReport(absl::Status status);

  void AddElder(GenerationInfo info, std::shared_ptr<Peer> peer, OwnedFd pidfd);
  void OnElderDead(int number);
  void RemoveElder(int number);

  GenerationContext context_;
  HandoffMachine machine_;
  HandoffClock clock_;
  Timer timer_;
  int number_;
  int last_number_;  // of the latest successor, whatever became of it; never given again
  Phase announced_;

  // The handoff in progress.
  std::shared_ptr<Peer> peer_;
  std::shared_ptr<SuccessorProcess> process_;  // the peer, if we started it
  bool wrapped_ = false;                       // or that one's parent
  absl::optional<Token> token_;
  HelloFrame hello_;
  std::deque<Chunk> chunks_;         // of our offer
  std::vector<std::string> added_;   // of the successor's `serving`
  std::vector<std::string> claims_;  // of the successor's `prepared`
  std::map<std::string, std::vector<std::string>> peer_reads_;
  std::vector<OfferedSocket> peer_sockets_;
  std::vector<OwnedFd> peer_fds_;
  absl::Status cause_;  // why it fails; the first reason counts
  bool accepting_deferred_ = false;
  QueueWatch queues_;  // those that the successor has claimed
  Report report_;
  std::string reason_;
  Instant handoff_began_;
  Instant phase_began_;

  std::vector<Elder> elders_;
  std::vector<std::pair<OwnedFd, std::unique_ptr<Watch>>>
      dying_;  // successors that were killed, to be collected
  Report joined_report_;
  // Guards callbacks that others keep.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_GENERATION_H_
