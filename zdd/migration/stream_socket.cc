#include "zdd/migration/stream_socket.h"

#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

bool Get(int fd, int option, int* value, Syscalls& syscalls) {
  socklen_t size = sizeof(*value);
  return syscalls.GetSockOpt(fd, SOL_SOCKET, option, value, &size) == 0;
}

}  // namespace

absl::Status CheckStreamSocket(int fd, Syscalls& syscalls) {
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
