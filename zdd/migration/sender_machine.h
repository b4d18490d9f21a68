// SenderMachine decides for the sender of connections: whether batches may go, what an
// acknowledgement completes, when the pair is revoked, and when what is unacknowledged is its own
// again. A pure value: no fd, clock or thread. The shell tells it what happened and carries out the
// effects.
//
//   if (machine.may_send() && Send(machine.next_no())) machine.Sent();
//   for (SenderEffect effect : machine.OnAck(7)) Do(effect);       // kComplete, or kSendRevoked
//
// The shell keeps three rules, without which the table is wrong:
//  1. Everything that can be read is read, and told, before kOverdue and kPeerDead.
//  2. kSendRevoked is tried until it is answered by kRevokedSent or kPeerGone.
//  3. kShutRead makes the next acknowledgement fail at its sender; after it everything is read
//  until
//     kEndOfFile, which then always comes.
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_MIGRATION_SENDER_MACHINE_H_
#define ZDD_MIGRATION_SENDER_MACHINE_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "zdd/migration/batch.h"

namespace zdd {

enum class SenderState : uint8_t {
  kOpen,
  kRevoking,  // decided; `revoked` is not yet sent. Acknowledgements still count
  kEnding,    // no acknowledgement can be sent any more; those that were are read
  kBroken,    // all is completed or taken back
};

enum class SenderEvent : uint8_t {
  kGarbage,      // a frame that makes no sense
  kOverdue,      // the oldest batch has waited too long
  kRevokeAsked,  // by this process
  kRevokedSent,
  kPeerGone,   // a send failed: nobody can read it
  kPeerDead,   // its process
  kEndOfFile,  // nothing more can be read
};

enum class SenderEffect : uint8_t {
  kComplete,  // the oldest batch: what was taken is the receiver's, the rest comes back
  kSendRevoked,
  kShutRead,  // shutdown(SHUT_RD)
  kTakeBack,  // all unacknowledged ones are ours again; close the pair
};

class SenderMachine {
 public:
  std::vector<SenderEffect> OnEvent(SenderEvent event);
  // An acknowledgement with this number; any but the oldest batch's is garbage.
  std::vector<SenderEffect> OnAck(int no);

  bool may_send() const { return open() && unacknowledged() < kBatchesUnacknowledgedMax; }
  int next_no() const { return next_; }
  // The batch next_no() was sent. REQUIRES: may_send().
  void Sent() { ++next_; }

  SenderState state() const { return state_; }
  bool open() const { return state_ == SenderState::kOpen; }
  bool revoking() const { return state_ == SenderState::kRevoking; }
  int unacknowledged() const { return next_ - oldest_; }

  friend bool operator==(const SenderMachine&, const SenderMachine&) = default;

 private:
  std::vector<SenderEffect> Enter(SenderState state, SenderEffect effect);

  SenderState state_ = SenderState::kOpen;
  int oldest_ = 1;  // unacknowledged
  int next_ = 1;
};

absl::string_view NameOf(SenderState state);

}  // namespace zdd

#endif  // ZDD_MIGRATION_SENDER_MACHINE_H_
