// Mover moves the live connections of a service: of a generation that drains to its successor, and
// from older generations to this one. It joins zdd/migration to the loop.
//
//   Mover mover(loop, log, host);
//   mover.Begin(successor, movable, free_fds);              // after the commit
//   mover.Add(std::move(migrant));                          // what Ticket::Migrate gave
//   mover.Receive(generation, std::move(pair));             // from an older one
//
// A pair that breaks because the successor did not answer is followed by another one, kPairsMax in
// all; any other end is for good, and those who are left say their goodbyes.
//
// Threads: the loop. Lifetime: dies with the service; its host outlives it.
#ifndef ZDD_SERVICE_MOVER_H_
#define ZDD_SERVICE_MOVER_H_

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "zdd/base/owned_fd.h"
#include "zdd/migration/migrant.h"
#include "zdd/migration/migration_receiver.h"
#include "zdd/migration/migration_sender.h"
#include "zdd/service/event_log.h"
#include "zdd/service/loop.h"

namespace zdd {

class MoverHost {
 public:
  virtual ~MoverHost() = default;
  virtual bool SendPair(OwnedFd theirs) = 0;  // to the successor. False: it is gone
  virtual void OnMoved(Ticket ticket) = 0;    // the copy of its fd is closed after this
  // `again`: it may be asked to move once more.
  virtual void OnCameBack(Migrant migrant, bool again) = 0;
  virtual void OnRoom() = 0;         // more may be asked to move
  virtual void OnMovingEnded() = 0;  // none can move any more
  // Of connections that come: whether this version serves them, and how.
  virtual absl::Status CheckMigrant(const BatchItem& item) = 0;
  // `taken` runs on any thread when all of them have been taken up, or dropped.
  virtual void Adopt(std::vector<Migrant> batch, Task taken) = 0;
};

class Mover {
 public:
  static constexpr int kPairsMax = 3;
  static constexpr absl::Duration kNextPairAfter = absl::Seconds(1);

  Mover(Loop* loop, EventLog* log, MoverHost* host);
  ~Mover();
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  // From now on connections of these listeners move to that generation, each in its format.
  void Begin(int successor, std::map<std::string, std::string> movable, int peer_free_fds);
  bool moving() const { return successor_ != 0; }
  // Those of further listeners too.
  void Widen(std::map<std::string, std::string> movable) { movable_ = std::move(movable); }
  // Not any more: what has not arrived comes back. OnMovingEnded follows, never inside this call:
  // it may come from a callback of the drain that is to end.
  void Stop(absl::string_view reason);
  const std::map<std::string, std::string>& movable() const { return movable_; }

  // Goes, or comes back. Its format is filled in here.
  void Add(Migrant migrant);
  // Connections here that have left their server; all the credit there is while there is no pair.
  int pending() const;

  // Connections of that generation come on `pair`.
  void Receive(int generation, OwnedFd pair);
  // From now on nothing is taken: this generation drains, stops or leaves.
  void Refuse();

  // That process is dead, by its pidfd.
  void OnGenerationDead(int generation);

 private:
  struct Incoming {
    int generation = 0;
    int id = 0;
    std::unique_ptr<MigrationReceiver> receiver;
    std::unique_ptr<Watch> watch;
    std::unique_ptr<Timer> timer;
  };

  void OpenPair();
  void TickSender();
  bool GoesAgain() const;
  void OnPairEnded();
  void EndMoving(absl::string_view why);
  void TickSoon();

  void TickReceiver(int id);
  void TickReceiverSoon(int id);
  void Deliver(int id, std::vector<Migrant> batch);
  void Taken(int id, int count);
  Incoming* FindIncoming(int id);

  Loop* const loop_;
  EventLog* const log_;
  MoverHost* const host_;

  int successor_ = 0;
  std::map<std::string, std::string> movable_;
  SenderLimits limits_;
  int pairs_ = 0;
  int64_t moved_ = 0;
  std::unique_ptr<MigrationSender> sender_;
  std::unique_ptr<Watch> sender_watch_;
  Timer sender_timer_;
  bool tick_posted_ = false;

  std::list<Incoming> incoming_;
  int next_id_ = 1;
  bool refusing_ = false;

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_MOVER_H_
