#include "zdd/migration/sender_machine.h"

namespace zdd {

std::vector<SenderEffect> SenderMachine::Enter(SenderState state, SenderEffect effect) {
  state_ = state;
  return {effect};
}

// Also where the pair has been revoked: what was sent before kShutRead is the receiver's, however
// late it is read.
std::vector<SenderEffect> SenderMachine::OnAck(int no) {
  if (state_ == SenderState::kBroken) return {};
  if (unacknowledged() == 0 || no != oldest_) return OnEvent(SenderEvent::kGarbage);
  ++oldest_;
  return {SenderEffect::kComplete};
}

// clang-format off
// |          | garbage, overdue, asked, peer gone | revoked sent, peer gone | peer dead         | end of file       |
// |----------|------------------------------------|-------------------------|-------------------|-------------------|
// | Open     | Revoking: send revoked             |                         | Ending: shut read | Broken: take back |
// | Revoking |                                    | Ending: shut read       | Ending: shut read | Broken: take back |
// | Ending   |                                    |                         |                   | Broken: take back |
// clang-format on
//
// A batch that nobody can read is followed by a revocation that nobody can read: one failing send
// is not believed. A receiver that hung up (end of file) can have acknowledged nothing that was not
// read. One whose process is dead is shut out too: a forked child of it may hold its end.
std::vector<SenderEffect> SenderMachine::OnEvent(SenderEvent event) {
  if (state_ == SenderState::kBroken) return {};
  switch (event) {
    case SenderEvent::kGarbage:
    case SenderEvent::kOverdue:
    case SenderEvent::kRevokeAsked:
      if (!open()) return {};
      return Enter(SenderState::kRevoking, SenderEffect::kSendRevoked);
    case SenderEvent::kPeerGone:
      if (open()) return Enter(SenderState::kRevoking, SenderEffect::kSendRevoked);
      [[fallthrough]];
    case SenderEvent::kRevokedSent:
      if (!revoking()) return {};
      return Enter(SenderState::kEnding, SenderEffect::kShutRead);
    case SenderEvent::kPeerDead:
      if (state_ == SenderState::kEnding) return {};
      return Enter(SenderState::kEnding, SenderEffect::kShutRead);
    case SenderEvent::kEndOfFile:
      oldest_ = next_;
      return Enter(SenderState::kBroken, SenderEffect::kTakeBack);
  }
  return {};
}

absl::string_view NameOf(SenderState state) {
  switch (state) {
    case SenderState::kOpen:
      return "open";
    case SenderState::kRevoking:
      return "revoking";
    case SenderState::kEnding:
      return "ending";
    case SenderState::kBroken:
      return "broken";
  }
  return "";
}

}  // namespace zdd
