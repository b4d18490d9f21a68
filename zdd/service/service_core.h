// ServiceCore is what the handles of the front door share: it joins the generation, its listeners,
// tickets, signals, files and callbacks on one loop. How it comes to be is in service_create.cc,
// what is asked of it from outside in service_calls.cc, how its work ends in service_drains.cc, and
// what its generation asks of it in service_core.cc.
//
// Threads: public methods from any thread, the rest on the loop. Lifetime: shared by Service, and
// by what is posted to the loop; Shutdown() takes everything down that needs the loop.
#ifndef ZDD_SERVICE_SERVICE_CORE_H_
#define ZDD_SERVICE_SERVICE_CORE_H_

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "zdd/base/mutex.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/ticket_table.h"
#include "zdd/drain/ticket_tally.h"
#include "zdd/service/callbacks.h"
#include "zdd/service/control_keeper.h"
#include "zdd/service/event_log.h"
#include "zdd/service/fd_reserve.h"
#include "zdd/service/generation.h"
#include "zdd/service/inherited_channels.h"
#include "zdd/service/listener_set.h"
#include "zdd/service/loop.h"
#include "zdd/service/mover.h"
#include "zdd/service/pid_keeper.h"
#include "zdd/service/process_services.h"
#include "zdd/service/readiness.h"
#include "zdd/service/service.h"
#include "zdd/service/signals.h"

namespace zdd {

class ServiceCore : public GenerationHost,
                    public MoverHost,
                    public ProcessMember,
                    public std::enable_shared_from_this<ServiceCore> {
 public:
  static absl::StatusOr<std::shared_ptr<ServiceCore>> Create(Options options);
  explicit ServiceCore(Options options);
  ~ServiceCore() override;

  // The front door; see service.h.
  absl::StatusOr<std::shared_ptr<ListenerCore>> Listen(absl::string_view name,
                                                       absl::string_view address,
                                                       ListenOptions options);
  absl::Status AddReadinessCheck(absl::string_view name, absl::AnyInvocable<absl::Status()> check);
  absl::Status OnState(absl::AnyInvocable<void(State)> callback);
  absl::Status Start();
  void Upgrade(absl::AnyInvocable<void(const Report&)> done);
  absl::Status RollBack(absl::string_view reason);
  absl::Status Release();
  void Stop(absl::string_view reason);
  Report Wait();
  Ticket Enter(absl::string_view kind);
  DrainProgress Progress();
  absl::Status DrainListener(const std::string& name, absl::string_view reason,
                             absl::AnyInvocable<void(const DrainReport&)> done);
  absl::Status CancelDrain(const std::string& name);
  DrainProgress ListenerProgress(const std::string& name);
  State state() const { return state_.load(std::memory_order_acquire); }
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  int generation() const { return generation_number_.load(std::memory_order_acquire); }
  bool started() const { return started_.load(std::memory_order_acquire); }
  Loop* loop() { return loop_.get(); }

  // Ends it from ~Service: at once, whatever is in hand.
  void Shutdown();

  // ProcessMember.
  const std::string& service_name() const override { return options_.name; }
  int upgrade_signal() const override { return options_.upgrade_signal; }
  void JoinSpawn() override;

 private:
  // Create, step by step.
  absl::Status Init();
  absl::Status TakeSignals();
  absl::Status FindPredecessor();
  absl::Status Join(FdChannel channel, absl::Duration welcome_limit);
  absl::Status JoinOrBecomeFirst();
  void BecomeFirst(ControlSocket socket);
  GenerationContext MakeContext();
  void WatchSignals();

  // GenerationHost.
  void OnPhase(Phase phase) override;
  absl::StatusOr<GenerationHost::Spawned> Spawn() override;
  absl::StatusOr<OwnedFd> ControlForOffer(OfferedSocket* offered) override;
  void BecomeOwner() override;
  void BeginDrain(bool leaving) override;
  void HurryDrain() override;
  void CloseControl() override;
  void Unlink() override;
  void OnReport(const Report& report) override;
  void OnElderGone() override;
  void OnPair(int generation, OwnedFd pair) override;
  void OnGenerationDead(int generation) override;

  // MoverHost.
  bool SendPair(OwnedFd theirs) override;
  void OnMoved(Ticket ticket) override;
  void OnCameBack(Migrant migrant, bool again) override;
  void OnRoom() override { TickDrain(); }
  void OnMovingEnded() override;
  absl::Status CheckMigrant(const BatchItem& item) override;
  void Adopt(std::vector<Migrant> batch, Task taken) override;
  void OnEnd(const absl::Status& status) override;

  // The loop's side of the public calls.
  void StartOnLoop();
  void BeginUpgrade(std::string reason, bool by_signal,
                    absl::AnyInvocable<void(const Report&)> done);
  void OnSignal(int signal);
  void StopOnLoop(std::string reason);
  void OnVisitor(std::shared_ptr<Peer> peer, Frame first);
  void PrepareDrain();
  // All of it, not only listeners.
  bool draining() const { return drain_ != nullptr && drain_->began(); }
  absl::Status BeginListenerDrain(const std::string& name, absl::string_view reason,
                                  absl::AnyInvocable<void(const DrainReport&)> done);
  absl::Status CancelListenerDrain(const std::string& name);
  void TickDrain();
  void TickDrainSoon();
  void EndListenerDrains();
  void WarnOfCut(const DrainReport& report);
  void TellProgress();
  void TellProgressOf(const std::string& listener, DrainProgress progress);
  Kinds KindsOf(const std::string& listener) const;
  void WatchMigrations();
  void BeginMoving();
  void OnMigrate(Ticket ticket, OwnedFd fd, std::string state);
  absl::Status BeforeStart(absl::string_view call) const;
  void SetState(State state, bool ready);
  Report FinalReport();
  void TearDown();

  Options options_;
  std::string reason_;  // of the end
  std::shared_ptr<Loop> loop_;
  std::shared_ptr<EventLog> log_;
  std::unique_ptr<Callbacks> callbacks_;
  std::shared_ptr<TicketTable> tickets_;
  ProcessImage image_;
  std::string key_;  // in ProcessServices

  // The loop's.
  std::unique_ptr<SignalTaker> signals_;
  std::unique_ptr<Watch> signal_watch_;
  std::unique_ptr<ListenerSet> listeners_;
  std::unique_ptr<Generation> generation_;
  std::unique_ptr<ControlKeeper> control_;
  std::unique_ptr<PidKeeper> pid_;
  FdReserve reserve_;
  std::unique_ptr<Readiness> readiness_;
  std::unique_ptr<Mover> mover_;
  std::unique_ptr<Drain> drain_;
  std::unique_ptr<Timer> drain_timer_;
  // Of listeners that drain alone or have done so, by name.
  struct ListenerDrain {
    absl::AnyInvocable<void(const DrainReport&)> done;
    absl::optional<DrainReport> ended;
  };
  std::map<std::string, ListenerDrain> listener_drains_;
  std::unique_ptr<Timer> progress_timer_;
  std::map<std::string, std::string> told_;  // the progress of each, as last told; "": of all
  std::unique_ptr<Timer> lame_duck_;
  std::vector<Readiness::Check> checks_;
  absl::AnyInvocable<void(State)> on_state_;
  std::deque<absl::AnyInvocable<void(const Report&)>>
      upgrades_;               // who waits for the handoff in progress
  bool joined_spawn_ = false;  // the present handoff was begun by another service of this process
  // Asked for by signal while too many older generations drained: begun when one is gone.
  absl::optional<std::string> waiting_upgrade_;
  absl::optional<Report> handed_over_;
  int stops_ = 0;
  bool drained_ = false;

  // Any thread's.
  std::atomic<State> state_{State::kStarting};
  std::atomic<bool> ready_{false};
  std::atomic<bool> started_{false};
  std::atomic<int> generation_number_{0};
  Mutex mutex_;
  CondVar changed_;
  absl::optional<absl::Status> start_result_ ABSL_GUARDED_BY(mutex_);
  absl::optional<Report> final_report_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_SERVICE_CORE_H_
