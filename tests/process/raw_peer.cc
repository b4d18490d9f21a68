#include "tests/process/raw_peer.h"

#include <poll.h>
#include <unistd.h>

namespace zdd {

RawPeer::RawPeer(OwnedFd connected) {
  absl::StatusOr<FdChannel> channel = FdChannel::Adopt(std::move(connected));
  EXPECT_TRUE(channel.ok()) << channel.status();
  if (channel.ok()) channel_.emplace(*std::move(channel));
}

void RawPeer::SendBytes(absl::string_view bytes, absl::Span<const int> fds) {
  EXPECT_EQ(channel_->Send(bytes, fds).kind, SendResult::kSent);
}

absl::optional<Frame> RawPeer::Receive() {
  for (;;) {
    Received received = channel_->Receive();
    if (received.kind == Received::kEndOfFile) return absl::nullopt;
    if (received.kind == Received::kWouldBlock) {
      pollfd polled = {channel_->fd(), POLLIN, 0};
      if (poll(&polled, 1, 20000) == 1) continue;
      ADD_FAILURE() << "nothing came";
      return absl::nullopt;
    }
    if (received.kind != Received::kFrame) continue;
    absl::StatusOr<Frame> frame = Decode(received.bytes, static_cast<int>(received.fds.size()));
    EXPECT_TRUE(frame.ok()) << frame.status();
    if (std::holds_alternative<PingFrame>(*frame)) continue;
    if (std::holds_alternative<WelcomeFrame>(*frame)) token_ = std::move(received.fds[0]);
    return *std::move(frame);
  }
}

bool RawPeer::StealToken() {
  uint64_t value;
  return read(token_.get(), &value, sizeof(value)) == sizeof(value);
}

}  // namespace zdd
