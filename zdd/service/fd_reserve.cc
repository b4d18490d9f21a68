#include "zdd/service/fd_reserve.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/free_fds.h"

namespace zdd {
namespace {

// To start a successor: its channel, what it gets at its start, its pidfd.
constexpr size_t kSpawnFds = 8;
// To offer it what there is, apart from the listeners: the token, the control socket.
constexpr size_t kOfferFds = 8;
constexpr size_t kShareOfFree = 4;

}  // namespace

void FdReserve::Aim(size_t listeners) {
  aim_ = std::min(kSpawnFds + kOfferFds + listeners, FreeFds() / kShareOfFree);
  Refill();
}

void FdReserve::Refill() {
  while (held_.size() < aim_) {
    OwnedFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return;
    held_.push_back(std::move(fd));
  }
}

void FdReserve::GiveForSpawn() { held_.resize(held_.size() - std::min(kSpawnFds, held_.size())); }

absl::Status FdReserve::Explain(const absl::Status& status) {
  const size_t free_fds = FreeFds();
  if (!absl::IsResourceExhausted(status) || free_fds >= kSpawnFds) return status;
  // A process that runs gets no other limit by ulimit.
  return absl::ResourceExhaustedError(
      absl::StrCat(status.message(), "; ", free_fds, " descriptors are free, an upgrade needs ",
                   kSpawnFds + kOfferFds, ": prlimit --nofile=1024 --pid ", getpid()));
}

}  // namespace zdd
