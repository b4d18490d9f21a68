#include "zdd/migration/stream_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

// The usual case, by one question instead of three: only a TCP socket answers TCP_INFO (tcp(7)),
// whose first byte is its state.
bool IsTcpConnection(int fd, Syscalls& syscalls) {
  static_assert(offsetof(tcp_info, tcpi_state) == 0);
  uint8_t state = 0;
  socklen_t size = sizeof(state);
  return syscalls.GetSockOpt(fd, IPPROTO_TCP, TCP_INFO, &state, &size) == 0 && size == 1 &&
         state != TCP_LISTEN;
}

bool Get(int fd, int option, int* value, Syscalls& syscalls) {
  socklen_t size = sizeof(*value);
  return syscalls.GetSockOpt(fd, SOL_SOCKET, option, value, &size) == 0;
}

}  // namespace

absl::Status CheckStreamSocket(int fd, Syscalls& syscalls) {
  if (IsTcpConnection(fd, syscalls)) return absl::OkStatus();
  int type = 0;
  int domain = 0;
  int listening = 0;
  if (!Get(fd, SO_TYPE, &type, syscalls) || !Get(fd, SO_DOMAIN, &domain, syscalls) ||
      !Get(fd, SO_ACCEPTCONN, &listening, syscalls)) {
    if (errno != ENOTSOCK) return ErrnoStatus(errno, "getsockopt connection");
    return absl::FailedPreconditionError("adopt connection: it is no socket");
  }
  const bool family = domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX;
  if (type != SOCK_STREAM || !family || listening != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("adopt connection: it is no connected stream socket (family ", domain,
                     ", type ", type, listening != 0 ? ", listening)" : ")"));
  }
  // One whose client has reset it has no peer any more (ENOTCONN), as one that never had one. That
  // one may poll as hung up too; serving it costs one read that fails.
  return absl::OkStatus();
}

}  // namespace zdd
