#include "zdd/migration/receiver_machine.h"

#include <algorithm>

namespace zdd {

bool ReceiverMachine::Expects(int no) const {
  return (state_ == ReceiverState::kOpen || ending()) && no == next_ &&
         held_count_ < kBatchesUnacknowledgedMax;
}

std::vector<ReceiverEffect> ReceiverMachine::OnBatch(int no, int taken) {
  if (!Expects(no)) return OnEvent(ReceiverEvent::kGarbage);
  ++next_;
  held_[held_count_++] = static_cast<uint8_t>(taken);
  if (ending()) return {};
  state_ = ReceiverState::kAcking;
  return {ReceiverEffect::kSendAck};
}

void ReceiverMachine::DeliverFirst(Effects* effects) {
  undelivered_ += held_[0];
  std::rotate(held_.begin(), held_.begin() + 1, held_.end());
  held_.back() = 0;
  --held_count_;
  effects->push_back(ReceiverEffect::kDeliver);
}

// What is held is the sender's.
ReceiverMachine::Effects ReceiverMachine::Close() {
  state_ = ReceiverState::kClosed;
  held_ = {};
  held_count_ = 0;
  return {ReceiverEffect::kCloseHeld, ReceiverEffect::kClose};
}

ReceiverMachine::Effects ReceiverMachine::End() {
  state_ = ReceiverState::kEnding;
  return {};
}

// The sender is gone without a `revoked`: what is held is ours. Delivered as there is room.
ReceiverMachine::Effects ReceiverMachine::Adopt() {
  Effects effects;
  if (!adopting()) effects.push_back(ReceiverEffect::kClose);
  if (!adopting() && held_count_ > 0) effects.push_back(ReceiverEffect::kAdoptHeld);
  state_ = ReceiverState::kAdopting;
  while (held_count_ > 0 && has_room()) DeliverFirst(&effects);
  if (held_count_ == 0) state_ = ReceiverState::kClosed;
  return effects;
}

// clang-format off
// |          | ack sent      | ack failed | revoked, garbage | end of file | nothing more   | turn    |
// |----------|---------------|------------|------------------|-------------|----------------|---------|
// | Open     |               |            | Closed           | Closed      | dead: Closed   |         |
// | Acking   | Open: deliver | Ending     | Closed           |             |                |         |
// | Ending   |               |            | Closed           | Adopting    | dead: Adopting |         |
// | Adopting |               |            |                  |             |                | deliver |
// clang-format on
//
// Ack failed: if the sender had revoked, its `revoked` was there before the acknowledgement failed,
// so it is found by reading on. If it is neither there nor the end of file, the sender's death is
// still under way in the kernel (unix_release_sock() shuts our direction first): wait for its end.
std::vector<ReceiverEffect> ReceiverMachine::OnEvent(ReceiverEvent event) {
  if (state_ == ReceiverState::kClosed) return {};
  switch (event) {
    case ReceiverEvent::kAckSent: {
      if (!acking()) return {};
      Effects effects;
      state_ = ReceiverState::kOpen;
      DeliverFirst(&effects);
      return effects;
    }
    case ReceiverEvent::kAckBlocked:
      return acking() && peer_dead_ ? End() : Effects();
    case ReceiverEvent::kAckFailed:
      return acking() ? End() : Effects();
    case ReceiverEvent::kRevoked:
    case ReceiverEvent::kGarbage:
    case ReceiverEvent::kWaited:
      if (adopting() || (event == ReceiverEvent::kWaited && !ending())) return {};
      return Close();
    case ReceiverEvent::kEndOfFile:
      return acking() ? End() : Adopt();
    case ReceiverEvent::kNothingMore:
      return peer_dead_ && !acking() ? Adopt() : Effects();
    case ReceiverEvent::kPeerDead:
      peer_dead_ = true;
      return acking() ? End() : Effects();
    case ReceiverEvent::kRefuse:
      refusing_ = true;
      if (!acking()) return {};
      held_[0] = 0;
      return {ReceiverEffect::kRefuseHeld};
    case ReceiverEvent::kTurn:
      return adopting() ? Adopt() : Effects();
  }
  return {};
}

absl::string_view NameOf(ReceiverState state) {
  switch (state) {
    case ReceiverState::kOpen:
      return "open";
    case ReceiverState::kAcking:
      return "acking";
    case ReceiverState::kEnding:
      return "ending";
    case ReceiverState::kAdopting:
      return "adopting";
    case ReceiverState::kClosed:
      return "closed";
  }
  return "";
}

}  // namespace zdd
