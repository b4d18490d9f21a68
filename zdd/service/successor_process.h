// SuccessorProcess is the process that an upgrade has started. Several services of one process hand
// over to the same one: each holds a share, and it is killed only when all have asked for that.
//
//   process->Kill();                       // this service's handoff has failed
//   process->ExitText();                   // "exited with code 3"
//
// Threads: any. Lifetime: shared by the services; dropping it neither kills nor reaps (see
// child.h).
#ifndef ZDD_SERVICE_SUCCESSOR_PROCESS_H_
#define ZDD_SERVICE_SUCCESSOR_PROCESS_H_

#include <sys/types.h>

#include <string>

#include "absl/types/optional.h"
#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"
#include "zdd/service/child.h"

namespace zdd {

class SuccessorProcess {
 public:
  SuccessorProcess(Child child, int services) : child_(std::move(child)), alive_for_(services) {}

  pid_t pid() const { return child_.pid; }
  // A duplicate to watch; invalid if out of fds.
  OwnedFd Pidfd() const { return Duplicate(child_.pidfd.get()); }

  // What was started is only a wrapper: that process is the successor, and is to be killed too.
  void SetWrapped(pid_t pid, OwnedFd pidfd);

  // One service has no more use for it.
  void Kill();

  // How it ended; none while it lives. Collects it from the kernel.
  absl::optional<std::string> ExitText();

 private:
  const Child child_;
  Mutex mutex_;
  Child wrapped_ ABSL_GUARDED_BY(mutex_);
  int alive_for_ ABSL_GUARDED_BY(mutex_);
  absl::optional<ExitInfo> exit_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_SUCCESSOR_PROCESS_H_
