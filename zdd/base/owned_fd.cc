#include "zdd/base/owned_fd.h"

#include <fcntl.h>
#include <unistd.h>

namespace zdd {

void OwnedFd::Reset() {
  if (fd_ >= 0) close(Release());
}

OwnedFd Duplicate(int fd) { return OwnedFd(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

}  // namespace zdd
