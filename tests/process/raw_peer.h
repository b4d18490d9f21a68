// RawPeer speaks frames by hand, at one end of a channel to a real generation: the truth, lies, or
// nothing at all.
//
//   RawPeer peer(std::move(connected));
//   peer.Send(hello);
//   peer.Await<OfferFrame>();
//
// Threads: the test's.
#ifndef TESTS_PROCESS_RAW_PEER_H_
#define TESTS_PROCESS_RAW_PEER_H_

#include <gtest/gtest.h>

#include <utility>
#include <variant>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "zdd/base/owned_fd.h"
#include "zdd/handoff/frames.h"
#include "zdd/net/fd_channel.h"

namespace zdd {

class RawPeer {
 public:
  explicit RawPeer(OwnedFd connected);

  void SendBytes(absl::string_view bytes, absl::Span<const int> fds = {});
  void Send(const Frame& frame, absl::Span<const int> fds = {}) { SendBytes(Encode(frame), fds); }

  // The next frame that is no ping; none at the end of the channel. A failure of the test after 20
  // seconds.
  absl::optional<Frame> Receive();
  // The next frame of that kind; others are passed over.
  template <typename F>
  F Await() {
    for (absl::optional<Frame> frame; (frame = Receive()).has_value();) {
      if (F* wanted = std::get_if<F>(&*frame)) return std::move(*wanted);
    }
    ADD_FAILURE() << "the channel ended";
    return F();
  }

  // Reads the token that came with a welcome: whether it was still there.
  bool StealToken();
  void HangUp() { channel_.reset(); }

 private:
  absl::optional<FdChannel> channel_;
  OwnedFd token_;
};

}  // namespace zdd

#endif  // TESTS_PROCESS_RAW_PEER_H_
