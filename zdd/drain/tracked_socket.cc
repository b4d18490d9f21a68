#include "zdd/drain/tracked_socket.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "absl/status/statusor.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

bool IsSame(int fd, uint64_t cookie) { return cookie != 0 && SocketCookie(fd) == cookie; }

// Bytes that arrived and were not read (SIOCINQ), or were written and not yet acknowledged by the
// peer (SIOCOUTQ); tcp(7), unix(7).
bool Queued(int fd, unsigned long queue) {
  int bytes = 0;
  return ioctl(fd, queue, &bytes) == 0 && bytes > 0;
}

Transport TransportOf(int family, int type) {
  if (family == AF_UNIX) return Transport::kUnix;
  return type == SOCK_DGRAM ? Transport::kUdp : Transport::kTcp;
}

}  // namespace

uint64_t SocketCookie(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

OutsideClose CloseQuiet(int fd, uint64_t cookie) {
  if (!IsSame(fd, cookie)) return OutsideClose::kStranger;
  if (Queued(fd, SIOCINQ) || Queued(fd, SIOCOUTQ)) return OutsideClose::kNotQuiet;
  shutdown(fd, SHUT_RD);
  return Queued(fd, SIOCINQ) ? OutsideClose::kRaced : OutsideClose::kDone;
}

OutsideClose CloseNow(int fd, uint64_t cookie) {
  if (!IsSame(fd, cookie)) return OutsideClose::kStranger;
  shutdown(fd, SHUT_RDWR);  // fails if the peer has reset it: as good
  return OutsideClose::kDone;
}

void HalfClose(int fd, uint64_t cookie) {
  if (IsSame(fd, cookie)) shutdown(fd, SHUT_WR);
}

std::string PeerOf(int fd, uint64_t cookie) {
  if (!IsSame(fd, cookie)) return "";
  sockaddr_storage peer = {};
  socklen_t size = sizeof(peer);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return "";
  int type = SOCK_STREAM;
  socklen_t type_size = sizeof(type);
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size);
  absl::StatusOr<Address> address = Address::FromSockaddr(
      TransportOf(peer.ss_family, type), reinterpret_cast<const sockaddr*>(&peer), size);
  return address.ok() ? address->ToString() : "";
}

}  // namespace zdd
