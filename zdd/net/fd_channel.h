// FdChannel carries frames between two processes: one SOCK_SEQPACKET datagram of a Unix socket is
// one frame, with its bytes, the descriptors that travel with it, and the sender's credentials.
//
//   absl::StatusOr<zdd::FdChannel::Ends> ends = zdd::FdChannel::Pair();
//   zdd::SendResult sent = ends->ours.Send("{\"type\":\"listeners\"}", {listener.get()});
//   ...                                                            // when poll says readable:
//   zdd::Received received = ends->theirs.Receive();
//   if (received.kind == zdd::Received::kFrame) Adopt(std::move(received.fds[0]));
//
// A frame arrives whole or not at all, and in order. Nothing here blocks: the caller polls fd().
// Any process may be at the other end, so whatever comes is answered with a value, never a crash:
// what broke is closed, counted in numbers, and said.
//
// Threads: one at a time. Lifetime: owns its descriptor; closing it is how a side hangs up. Keep in
// mind that a forked child may hold the other end open long after the peer died: death is told by
// PeerPidfd(), end of file only says that no frame will follow.
#ifndef ZDD_NET_FD_CHANNEL_H_
#define ZDD_NET_FD_CHANNEL_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"

namespace zdd {

// The kernel takes 253 descriptors in one message (SCM_MAX_FD, unix(7)); one is kept in reserve.
inline constexpr size_t kFrameFdsMax = 252;
// Well below the default SO_SNDBUF (208 KiB), so that several frames fit into the queue.
inline constexpr size_t kFrameBytesMax = 48 * 1024;

struct Credentials {
  pid_t pid = 0;  // 0: in a pid namespace that this process does not see
  uid_t uid = 0;
  gid_t gid = 0;
};

struct [[nodiscard]] SendResult {
  enum Kind {
    kSent,
    // Nothing was sent: the queue is full. Wait until poll says writable. Where `status` is
    // ResourceExhausted (too many descriptors in flight, ETOOMANYREFS; no kernel memory) poll does
    // not tell: try again after the peer's next answer, or a millisecond.
    kWouldBlock,
    kPeerGone,  // nobody can read it any more. Frames of the peer may still wait to be read
    kFailed,    // this frame cannot be sent: too large (InvalidArgument), or what the kernel says
  };
  Kind kind = kSent;
  absl::Status status;  // ok for kSent only
};

struct [[nodiscard]] Received {
  enum Kind {
    kFrame,
    kWouldBlock,  // nothing there now
    kEndOfFile,   // the peer hung up, and all it had sent was read
    kBroken,      // something came that is no frame: `status` says what. All its fds are closed
  };
  Kind kind = kWouldBlock;
  std::string bytes;
  std::vector<OwnedFd> fds;                 // close-on-exec, 3 or higher, in the sender's order
  absl::optional<Credentials> credentials;  // who sent this very frame, by the kernel's word
  // kBroken: DataLoss (an empty or oversized datagram, too many descriptors, unknown control data),
  // ResourceExhausted (this process is out of descriptors: those of the frame are lost); after both
  // the next frame can be read. Else what recvmsg said: the channel is of no use any more.
  absl::Status status;
};

class FdChannel {
 public:
  struct Ends;  // {ours, theirs}

  // A connected pair; give `theirs` to a child. Errors: ResourceExhausted.
  static absl::StatusOr<Ends> Pair(Syscalls& syscalls = Syscalls::Real());

  // Takes a connected SEQPACKET socket: accepted, connected or inherited. InvalidArgument if `fd`
  // is anything else; it is then closed.
  static absl::StatusOr<FdChannel> Adopt(OwnedFd fd, Syscalls& syscalls = Syscalls::Real());

  FdChannel(FdChannel&&) = default;
  FdChannel& operator=(FdChannel&&) = default;

  // Sends one frame of 1 to kFrameBytesMax bytes with at most kFrameFdsMax descriptors, whose
  // duplicates travel: the caller keeps its own.
  SendResult Send(absl::string_view bytes, absl::Span<const int> fds = {});

  // Reads one frame. To be called until kWouldBlock or kEndOfFile: a deadline or a death counts
  // only after everything readable was read.
  Received Receive();

  // Who connected or called listen(); for a Pair() that is whoever made the pair, so its maker sees
  // itself: there go by the credentials of a frame.
  absl::StatusOr<Credentials> PeerCredentials() const;

  // A pidfd of that process: readable once it is dead (pidfd_open(2)). By SO_PEERPIDFD, which no
  // reused pid can fool (Linux 6.5), else by pidfd_open. Invalid if none is to be had.
  OwnedFd PeerPidfd() const;

  // To poll, or to hand to a child. Borrowed.
  int fd() const { return fd_.get(); }

  // Gives the descriptor away.
  OwnedFd Release() && { return std::move(fd_); }

 private:
  FdChannel(OwnedFd fd, Syscalls& syscalls);

  OwnedFd fd_;
  Syscalls* syscalls_;
  std::unique_ptr<char[]> buffer_;  // kFrameBytesMax; a frame is read here first
};

struct FdChannel::Ends {
  FdChannel ours;
  FdChannel theirs;
};

}  // namespace zdd

#endif  // ZDD_NET_FD_CHANNEL_H_
