// ReceiverMachine decides for the receiver of connections: when it reads, when a batch is its own,
// and what becomes of the batches whose acknowledgement could not be sent. A pure value: no fd,
// clock or thread. The shell tells it what happened and carries out the effects.
//
//   for (ReceiverEffect effect : machine.OnBatch(7, 16)) Do(effect);                   // kSendAck
//   for (ReceiverEffect effect : machine.OnEvent(ReceiverEvent::kAckSent)) Do(effect); // kDeliver
//
// "Held" are batches that came, were looked at, and are not delivered; of each only what is to be
// taken is kept, the rest was closed before the machine hears of it. The shell keeps two rules:
//  1. It reads only while wants_read(), and touches nothing that is held.
//  2. kSendAck is answered by kAckSent, kAckBlocked or kAckFailed; while acking() it is tried
//  again.
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_MIGRATION_RECEIVER_MACHINE_H_
#define ZDD_MIGRATION_RECEIVER_MACHINE_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "zdd/migration/batch.h"

namespace zdd {

enum class ReceiverState : uint8_t {
  kOpen,      // nothing is held
  kAcking,    // one batch is held: its acknowledgement is being sent
  kEnding,    // no acknowledgement can be sent any more: what the sender sent is read to the end
  kAdopting,  // the sender is dead and had not revoked: what is held is ours, delivered by and by
  kClosed,
};

enum class ReceiverEvent : uint8_t {
  kAckSent,
  kAckBlocked,
  kAckFailed,    // the sender cannot read it: it has revoked, hung up, or died
  kRevoked,      // `revoked` was read
  kGarbage,      // a frame that makes no sense, or a pair that cannot be read
  kEndOfFile,    // the sender hung up or died, and all that it sent was read
  kNothingMore,  // all that is there was read
  kPeerDead,     // the sender's process
  kRefuse,       // take nothing from now on
  kWaited,       // kEnding has lasted too long
  kTurn,         // the shell is called
};

enum class ReceiverEffect : uint8_t {
  kSendAck,     // for the one that is held
  kDeliver,     // the first one that is held: it is no longer held
  kAdoptHeld,   // all that are held are ours now; kDeliver follows for each
  kRefuseHeld,  // close what is held, and let its acknowledgement take nothing
  kCloseHeld,
  kClose,  // the pair
};

class ReceiverMachine {
 public:
  // Connections that may wait to be taken up before no more is read. One batch can be on top.
  static constexpr int kUndeliveredMax = 64;

  std::vector<ReceiverEffect> OnEvent(ReceiverEvent event);
  // Whether a batch with this number may come now. One that may not is garbage.
  bool Expects(int no) const;
  // A batch with this number, of which `taken` connections are kept.
  std::vector<ReceiverEffect> OnBatch(int no, int taken);
  // The server has taken up so many.
  void Taken(int count) { undelivered_ -= std::min(count, undelivered_); }

  bool wants_read() const {
    return ending() || (state_ == ReceiverState::kOpen && (refusing_ || has_room()));
  }
  // Whether all of the next batch is refused. Not where nobody is left to whom it could go back.
  bool refuses() const { return refusing_ && !ending() && !peer_dead_; }

  ReceiverState state() const { return state_; }
  bool acking() const { return state_ == ReceiverState::kAcking; }
  bool ending() const { return state_ == ReceiverState::kEnding; }
  bool adopting() const { return state_ == ReceiverState::kAdopting; }
  int undelivered() const { return undelivered_; }
  int next_no() const { return next_; }

  friend bool operator==(const ReceiverMachine&, const ReceiverMachine&) = default;

 private:
  using Effects = std::vector<ReceiverEffect>;
  bool has_room() const { return undelivered_ <= kUndeliveredMax; }
  Effects Close();
  Effects End();
  Effects Adopt();
  void DeliverFirst(Effects* effects);

  ReceiverState state_ = ReceiverState::kOpen;
  bool refusing_ = false;
  bool peer_dead_ = false;
  uint8_t held_count_ = 0;
  std::array<uint8_t, kBatchesUnacknowledgedMax> held_ = {};  // taken of each
  int next_ = 1;                                              // the number of the next batch
  int undelivered_ = 0;
};

absl::string_view NameOf(ReceiverState state);

}  // namespace zdd

#endif  // ZDD_MIGRATION_RECEIVER_MACHINE_H_
