// The migration of connections, explored: the real SenderMachine and ReceiverMachine, the kernel's
// socket pair between them, and every order in which their system calls can meet deaths, freezes,
// revocations, refusals, full queues and garbage.
//
//   Finding finding = Explore({.connections = 2}, /*faults_max=*/3);
//   EXPECT_EQ(finding.wrong, "") << finding.trace;
//
// One connection travels in each batch. Each system call is a step of its own. Time has no measure:
// a batch may be overdue whenever all input is read. What is not in it: the window, descriptors
// that run out, a server that is behind; the unit tests have those.
//
// Threads: one.
#ifndef ZDD_TESTS_MODEL_MIGRATION_MODEL_H_
#define ZDD_TESTS_MODEL_MIGRATION_MODEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "zdd/migration/receiver_machine.h"
#include "zdd/migration/sender_machine.h"

namespace zdd::migration_model {

inline constexpr int kConnectionsMax = 3;

// A rule taken away, to see that the model finds what happens then.
enum class Mutant {
  kNone,
  kClosedWhenSent,        // the sender closes its copy before the acknowledgement
  kTouchedBeforeAck,      // the receiver serves what it has not acknowledged
  kTakenBackByTimer,      // no shutdown: overdue is ours
  kDeathBeforeAcks,       // a death counts before the acknowledgements that lie there
  kFailedAckIgnored,      // an acknowledgement that failed makes an owner
  kRevokedNotSaid,        // the sender shuts out and says nothing
  kBlockedRevokedIsSaid,  // it says it once, whether it fits or not
  kRefusedClosedLate,     // what is refused is closed after that was said
  kFailedAckCloses,       // who cannot acknowledge closes, without waiting for the end
};

struct Options {
  int connections = 2;
  Mutant mutant = Mutant::kNone;
};

enum class Life : uint8_t { kRunning, kStopped, kDying, kDead };
enum class Copy : uint8_t { kNone, kWaits, kServes, kClosed };

struct Connection {
  Copy at_sender = Copy::kWaits;
  Copy at_receiver = Copy::kNone;
  bool sent = false;
  bool receiver_owns = false;   // by the kernel's word, not by what anybody has read
  bool used_by_sender = false;  // after it came home
  bool used_by_receiver = false;
  bool refused = false;
  uint8_t came_home = 0;
};

// Frames or effects in their order.
class Queue {
 public:
  bool empty() const { return size_ == 0; }
  uint8_t front() const { return items_[0]; }
  void Push(uint8_t item) { items_.at(size_++) = item; }
  uint8_t Pop();
  void Clear() { *this = Queue(); }
  bool Has(uint8_t item) const;
  void AppendTo(std::string* key) const { key->append(items_.begin(), items_.end()); }

 private:
  std::array<uint8_t, 8> items_ = {};
  uint8_t size_ = 0;
};

struct World {
  SenderMachine sender;
  ReceiverMachine receiver;
  std::array<Connection, kConnectionsMax> connections;
  Queue down;         // batches, by their number; kRevoked, kGarbled
  Queue up;           // acknowledgements: their number, kTakenBit; kGarbled
  Queue sender_todo;  // effects
  Queue receiver_todo;
  Life sender_life = Life::kRunning;
  Life receiver_life = Life::kRunning;
  bool shut_read = false;
  bool sender_closed = false;
  bool receiver_closed = false;
  bool revoked_sent = false;
  bool garbled = false;  // the sender has spoken garbage
  bool death_told_to_sender = false;
  bool death_told_to_receiver = false;
  bool refusing = false;
  uint8_t receiver_done = 0;  // batches that are delivered

  std::string Key() const;
};

struct Step {
  enum Kind : uint8_t {
    kSenderWorks,    // carries out its next effect
    kSenderBlocked,  // the effect is a send that does not fit
    kSenderSends,    // the next batch
    kSenderReads,
    kSenderOverdue,
    kSenderHearsDeath,
    kSenderRevokes,  // asked to
    kReceiverWorks,
    kReceiverBlocked,
    kReceiverAcksAgain,
    kReceiverReads,
    kReceiverRefuses,  // reads, and refuses what comes
    kReceiverHearsDeath,
    kReceiverStops,  // refuses all from now on
    kReceiverWaited,
    kSenderDies,
    kReceiverDies,
    kDeathCompletes,  // of the sender: its end is closed for all to see
    kSenderStops,
    kSenderContinues,
    kReceiverFreezes,
    kReceiverContinues,
    kSenderGarbles,
    kReceiverGarbles,
  };
  Kind kind;
  uint8_t cost;  // 1: a fault, or a wish
};

struct Finding {
  std::string wrong;  // empty: nothing
  std::string trace;  // numbered lines
  int trace_steps = 0;
  size_t states = 0;
  size_t steps = 0;
};

Finding Explore(const Options& options, int faults_max);

}  // namespace zdd::migration_model

#endif  // ZDD_TESTS_MODEL_MIGRATION_MODEL_H_
