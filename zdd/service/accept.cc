#include "zdd/service/accept.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "zdd/base/status.h"
#include "zdd/net/socket.h"

namespace zdd {
namespace {

// A queue that hands out only errors for so long is left to the next turn.
constexpr int kErrorsMax = 64;

Accepted::Kind KindOf(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return Accepted::kExhausted;
    case EINVAL:
    case EBADF:
    case ENOTSOCK:
      return Accepted::kDead;
    default:
      return Accepted::kEmpty;
  }
}

bool IsOfOneConnection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

Accepted AcceptOne(int listener, Transport transport, bool blocking, Syscalls& syscalls) {
  Accepted accepted;
  for (int i = 0; i < kErrorsMax; ++i) {
    sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    const int flags = SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK);
    OwnedFd fd(syscalls.Accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, flags));
    if (fd.valid()) {
      accepted.fd = AboveStdio(std::move(fd), syscalls);
      if (!accepted.fd.valid())
        continue;  // closed with an fd table this full: counts as one that died
      absl::StatusOr<Address> address =
          Address::FromSockaddr(transport, reinterpret_cast<sockaddr*>(&peer), size);
      if (address.ok()) accepted.peer = *std::move(address);
      accepted.kind = Accepted::kConnection;
      return accepted;
    }
    if (IsOfOneConnection(errno)) continue;
    accepted.error = errno;
    accepted.kind = KindOf(accepted.error);
    // It says EAGAIN, while poll() calls it readable for ever.
    if (accepted.kind == Accepted::kEmpty && transport == Transport::kUnix &&
        UnixListenerShutDown(listener)) {
      accepted.kind = Accepted::kDead;
    }
    return accepted;
  }
  return accepted;
}

absl::Status SetBlocking(int fd, bool blocking) {
  const int flags = fcntl(fd, F_GETFL);
  const int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (flags >= 0 && (flags == wanted || fcntl(fd, F_SETFL, wanted) == 0)) return absl::OkStatus();
  return ErrnoStatus(errno, "fcntl O_NONBLOCK");
}

Address PeerAddress(int fd, Transport transport) {
  sockaddr_storage peer;
  socklen_t size = sizeof(peer);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return Address();
  absl::StatusOr<Address> address =
      Address::FromSockaddr(transport, reinterpret_cast<sockaddr*>(&peer), size);
  return address.ok() ? *std::move(address) : Address();
}

}  // namespace zdd
