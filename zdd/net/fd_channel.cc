#include "zdd/net/fd_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5, glibc 2.39
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

namespace zdd {
namespace {

// What the kernel itself allows: with room for it, truncated control data can only mean that this
// process is out of descriptors.
constexpr size_t kKernelFdsMax = 253;

struct alignas(cmsghdr) ControlBuffer {
  char bytes[CMSG_SPACE(kKernelFdsMax * sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
};

SendResult Failed(absl::Status status) { return {SendResult::kFailed, std::move(status)}; }

SendResult ResultOf(int error) {
  absl::Status status = ErrnoStatus(error, "send frame");
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS:
      return {SendResult::kWouldBlock, std::move(status)};
    case EPIPE:
    case ECONNRESET:
      return {SendResult::kPeerGone, std::move(status)};
    default:
      return {SendResult::kFailed, std::move(status)};
  }
}

absl::Status CheckFrame(absl::string_view bytes, absl::Span<const int> fds) {
  // An empty datagram reads like an end of file.
  if (bytes.empty()) return absl::InvalidArgumentError("send frame: it is empty");
  if (bytes.size() > kFrameBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("send frame: too large (", bytes.size(),
                                                   " bytes, at most ", kFrameBytesMax, ")"));
  }
  if (fds.size() > kFrameFdsMax) {
    return absl::InvalidArgumentError(absl::StrCat("send frame: too many descriptors (", fds.size(),
                                                   ", at most ", kFrameFdsMax, ")"));
  }
  return absl::OkStatus();
}

void AttachFds(absl::Span<const int> fds, ControlBuffer* control, msghdr* message) {
  if (fds.empty()) return;
  message->msg_control = control->bytes;
  message->msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
}

// One datagram as it came. Its descriptors are owned before anything is judged.
struct Datagram {
  ssize_t size = -1;  // its true one, also where it was cut; -1: errno tells
  int flags = 0;      // MSG_TRUNC, MSG_CTRUNC
  std::vector<OwnedFd> fds;
  absl::optional<Credentials> credentials;
  int unknown = 0;  // control messages of other types
};

void TakeControl(msghdr* message, Datagram* datagram) {
  for (cmsghdr* h = CMSG_FIRSTHDR(message); h != nullptr; h = CMSG_NXTHDR(message, h)) {
    if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
      size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
        datagram->fds.emplace_back(fd);
      }
    } else if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS) {
      ucred sender;
      std::memcpy(&sender, CMSG_DATA(h), sizeof sender);
      datagram->credentials = Credentials{sender.pid, sender.uid, sender.gid};
    } else {
      if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_PIDFD) {
        // Nobody asked for it, but whoever made the socket may have set SO_PASSPIDFD.
        int pidfd;
        std::memcpy(&pidfd, CMSG_DATA(h), sizeof pidfd);
        OwnedFd closed(pidfd);
      }
      ++datagram->unknown;
    }
  }
}

Datagram ReadDatagram(int fd, char* buffer, Syscalls& syscalls) {
  iovec vector = {buffer, kFrameBytesMax};
  ControlBuffer control;
  msghdr message{};
  Datagram datagram;
  // ECONNRESET only says that the peer closed with frames of ours unread. It is reported once, and
  // what the peer had sent before waits behind it.
  int resets = 0;
  do {
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    // MSG_TRUNC as an argument: the answer is the true size.
    datagram.size = syscalls.RecvMsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
  } while (datagram.size < 0 && (errno == EINTR || (errno == ECONNRESET && ++resets < 3)));
  if (datagram.size < 0) return datagram;
  datagram.flags = message.msg_flags;
  TakeControl(&message, &datagram);
  return datagram;
}

absl::Status OutOfDescriptors(size_t came) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return absl::ResourceExhaustedError(
      absl::StrCat("receive frame: control data truncated (", came,
                   " descriptors came, the rest found no room; RLIMIT_NOFILE is ",
                   static_cast<uint64_t>(limit.rlim_cur), ")"));
}

absl::Status CheckReceived(const Datagram& datagram) {
  const size_t size = datagram.size;
  if (datagram.flags & MSG_CTRUNC) return OutOfDescriptors(datagram.fds.size());
  if (size > kFrameBytesMax) {
    return absl::DataLossError(absl::StrCat("receive frame: datagram too large (", size,
                                            " bytes, at most ", kFrameBytesMax, ")"));
  }
  if (size == 0) return absl::DataLossError("receive frame: empty datagram");
  if (datagram.fds.size() > kFrameFdsMax) {
    return absl::DataLossError(absl::StrCat("receive frame: too many descriptors (",
                                            datagram.fds.size(), ", at most ", kFrameFdsMax, ")"));
  }
  if (datagram.unknown > 0) {
    return absl::DataLossError(
        absl::StrCat("receive frame: unknown control data (", datagram.unknown, " messages)"));
  }
  return absl::OkStatus();
}

Received Broken(absl::Status status) {
  Received received;
  received.kind = Received::kBroken;
  received.status = std::move(status);
  return received;
}

bool HungUp(int fd) {
  pollfd entry = {fd, POLLIN | POLLRDHUP, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLHUP | POLLRDHUP)) != 0;
}

absl::Status MoveAboveStdio(std::vector<OwnedFd>* fds, Syscalls& syscalls) {
  for (OwnedFd& fd : *fds) {
    fd = AboveStdio(std::move(fd), syscalls);
    if (!fd.valid()) return ErrnoStatus(errno, "receive frame: duplicate descriptor");
  }
  return absl::OkStatus();
}

// Checks that `fd` is a connected SEQPACKET socket. A leaked variable may have named a stranger's
// descriptor: a file, a pipe, somebody's connection.
absl::Status CheckChannelSocket(int fd) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("adopt channel: fd ", fd, " is no socket"));
  }
  if (domain != AF_UNIX || type != SOCK_SEQPACKET) {
    return absl::InvalidArgumentError(absl::StrCat("adopt channel: fd ", fd,
                                                   " is no Unix SEQPACKET socket (family ", domain,
                                                   ", type ", type, ")"));
  }
  sockaddr_un peer;
  size = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("adopt channel: fd ", fd, " is not connected"));
}

}  // namespace

FdChannel::FdChannel(OwnedFd fd, Syscalls& syscalls)
    : fd_(std::move(fd)), syscalls_(&syscalls), buffer_(new char[kFrameBytesMax]) {}

absl::StatusOr<FdChannel> FdChannel::Adopt(OwnedFd fd, Syscalls& syscalls) {
  absl::Status checked = CheckChannelSocket(fd.get());
  if (!checked.ok()) return checked;
  fd = AboveStdio(std::move(fd), syscalls);
  if (!fd.valid()) return ErrnoStatus(errno, "adopt channel: duplicate descriptor");
  if (fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) return ErrnoStatus(errno, "fcntl channel");
  // Each frame then comes with its sender's credentials, and only an end of file comes without.
  int on = 1;
  if (syscalls.SetSockOpt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return ErrnoStatus(errno, "setsockopt SO_PASSCRED channel");
  }
  return FdChannel(std::move(fd), syscalls);
}

absl::StatusOr<FdChannel::Ends> FdChannel::Pair(Syscalls& syscalls) {
  int fds[2];
  if (syscalls.SocketPair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return ErrnoStatus(errno, "socketpair channel");
  }
  OwnedFd first(fds[0]);
  OwnedFd second(fds[1]);
  absl::StatusOr<FdChannel> ours = Adopt(std::move(first), syscalls);
  if (!ours.ok()) return ours.status();
  absl::StatusOr<FdChannel> theirs = Adopt(std::move(second), syscalls);
  if (!theirs.ok()) return theirs.status();
  return Ends{*std::move(ours), *std::move(theirs)};
}

SendResult FdChannel::Send(absl::string_view bytes, absl::Span<const int> fds) {
  absl::Status fits = CheckFrame(bytes, fds);
  if (!fits.ok()) return Failed(std::move(fits));
  iovec vector = {const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  ControlBuffer control{};
  AttachFds(fds, &control, &message);
  ssize_t sent;
  do {
    sent = syscalls_->SendMsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return ResultOf(errno);
  return {SendResult::kSent, absl::OkStatus()};
}

Received FdChannel::Receive() {
  Received received;
  Datagram datagram = ReadDatagram(fd_.get(), buffer_.get(), *syscalls_);
  if (datagram.size < 0 && errno == EAGAIN) return received;
  if (datagram.size < 0) return Broken(ErrnoStatus(errno, "receive frame"));
  // An empty datagram reads as 0 too, but has a sender.
  if (datagram.size == 0 && !datagram.credentials && HungUp(fd_.get())) {
    received.kind = Received::kEndOfFile;
    return received;
  }
  absl::Status status = CheckReceived(datagram);
  if (status.ok()) status = MoveAboveStdio(&datagram.fds, *syscalls_);
  if (!status.ok()) return Broken(std::move(status));
  received.kind = Received::kFrame;
  received.bytes.assign(buffer_.get(), datagram.size);
  received.fds = std::move(datagram.fds);
  received.credentials = datagram.credentials;
  return received;
}

absl::StatusOr<Credentials> FdChannel::PeerCredentials() const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (syscalls_->GetSockOpt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return ErrnoStatus(errno, "getsockopt SO_PEERCRED channel");
  }
  return Credentials{peer.pid, peer.uid, peer.gid};
}

OwnedFd FdChannel::PeerPidfd() const {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (syscalls_->GetSockOpt(fd_.get(), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) {
    return AboveStdio(OwnedFd(pidfd), *syscalls_);
  }
  // Only an old kernel justifies asking by number. Any other refusal means that the peer is gone,
  // and its number may be a stranger's by now.
  if (errno != ENOPROTOOPT) return OwnedFd();
  absl::StatusOr<Credentials> peer = PeerCredentials();
  if (!peer.ok() || peer->pid == 0) return OwnedFd();
  return AboveStdio(OwnedFd(syscalls_->PidfdOpen(peer->pid, 0)), *syscalls_);
}

}  // namespace zdd
