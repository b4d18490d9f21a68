// Child is a process that zdd spawned, held by a pidfd: no reused pid can be mistaken for it, and
// no other child of the embedder is ever waited for.
//
//   poll(child.pidfd.get())                                     // readable: it is dead
//   if (absl::optional<zdd::ExitInfo> exit = zdd::Reap(child))
//     Report(absl::StrCat("successor pid ", child.pid, " ", zdd::ToString(*exit)));
//   // "successor pid 4121 killed by signal 11 (Segmentation fault)"
//
// Threads: any, one at a time for one child. Lifetime: dropping a Child neither kills nor reaps: an
// unreaped one stays a zombie until this process ends. Needs Linux 5.4 (waitid(2), P_PIDFD).
#ifndef ZDD_SERVICE_CHILD_H_
#define ZDD_SERVICE_CHILD_H_

#include <sys/types.h>

#include <csignal>
#include <string>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

struct Child {
  pid_t pid = 0;
  OwnedFd pidfd;  // close-on-exec, 3 or higher
};

struct ExitInfo {
  enum Kind {
    kExited,  // `code` is its exit code
    kKilled,  // `code` is the signal
    kTaken,   // dead, but somebody else in this process waited for it, or SIGCHLD is ignored
  };
  Kind kind = kTaken;
  int code = 0;
  bool core_dumped = false;
};

// "exited with code 3", "killed by signal 11 (Segmentation fault)", "ended, its exit status taken
// by someone else".
std::string ToString(const ExitInfo& exit);

// Collects the exit of `child` if it is dead; none while it lives. Never blocks. Once it was
// collected, every later call answers kTaken.
absl::optional<ExitInfo> Reap(const Child& child);

// Sends `signal` to whom `pidfd` holds; Ok if it is dead already. PermissionDenied (it runs as
// somebody else by now), InvalidArgument (no such signal). There is no fallback to kill(): `pid`,
// which is for messages, may be a stranger's.
absl::Status SendSignal(int pidfd, pid_t pid, int signal);
inline absl::Status Kill(const Child& child, int signal = SIGKILL) {
  return SendSignal(child.pidfd.get(), child.pid, signal);
}

}  // namespace zdd

#endif  // ZDD_SERVICE_CHILD_H_
