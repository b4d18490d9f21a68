#include "zdd/service/successor_process.h"

#include <utility>

namespace zdd {

void SuccessorProcess::SetWrapped(pid_t pid, OwnedFd pidfd) {
  MutexLock lock(&mutex_);
  wrapped_ = {pid, std::move(pidfd)};
}

void SuccessorProcess::Kill() {
  MutexLock lock(&mutex_);
  if (--alive_for_ > 0) return;
  if (wrapped_.pidfd.valid()) zdd::Kill(wrapped_).IgnoreError();
  if (exit_.has_value()) return;
  zdd::Kill(child_).IgnoreError();  // it may have changed its user: then it is left alone
}

absl::optional<std::string> SuccessorProcess::ExitText() {
  MutexLock lock(&mutex_);
  if (!exit_.has_value()) exit_ = Reap(child_);
  if (!exit_.has_value()) return absl::nullopt;
  return ToString(*exit_);
}

}  // namespace zdd
