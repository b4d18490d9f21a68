// The runtime directory, where control sockets live, and the lock under which a generation starts.
//
//   absl::StatusOr<zdd::RuntimeDir> dir = zdd::EnsureRuntimeDir(zdd::ChooseRuntimeDir(hints));
//   absl::StatusOr<zdd::StartLock> lock = zdd::LockStart(*dir, "hello");
//   ... look for a predecessor, or become the first ...            // ~StartLock lets the next one
//
// Whoever can write there can pose as the service. So the directory must be ours, closed to all
// others and no symlink; and once checked it is used by descriptor, not by name: what is put in its
// place later is not used, and the length of its path does not matter to sun_path (108 bytes).
//
// Threads: any. Lifetime: see each.
// Errors: InvalidArgument (not an absolute path, not a service name), PermissionDenied (somebody
// else's, or open to others: octal modes and the cure), FailedPrecondition (no directory, a
// symlink), NotFound (no parent), Unavailable (the lock was not to be had within kStartLockWait).
#ifndef ZDD_SERVICE_RUNTIME_DIR_H_
#define ZDD_SERVICE_RUNTIME_DIR_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"

namespace zdd {

// What decides about the place. Empty: not given.
struct RuntimeDirHints {
  std::string option;           // Options::runtime_dir
  std::string zdd_runtime_dir;  // $ZDD_RUNTIME_DIR
  std::string
      xdg_runtime_dir;  // $XDG_RUNTIME_DIR; not taken unless absolute (XDG base directories)
  uid_t uid = 0;

  // Of this process: environment and effective uid.
  static RuntimeDirHints Of(absl::string_view option);
};

// The option, else $ZDD_RUNTIME_DIR, else $XDG_RUNTIME_DIR/zdd, else /run/zdd for root, else
// /tmp/zdd-<uid>. Pure.
std::string ChooseRuntimeDir(const RuntimeDirHints& hints);

struct RuntimeDir {
  OwnedFd fd;        // O_DIRECTORY, close-on-exec
  std::string path;  // absolute, for messages and manifests

  // A path to `name` in the directory that fits into sun_path however long `path` is:
  // "/proc/self/fd/7/hello.sock". Good in this process, while `fd` is open.
  std::string ShortPath(absl::string_view name) const;
  // path/name, for people.
  std::string LongPath(absl::string_view name) const;
};

// Makes the directory with mode 0700 if it is absent (not its parents), and checks it.
absl::StatusOr<RuntimeDir> EnsureRuntimeDir(absl::string_view path,
                                            Syscalls& syscalls = Syscalls::Real());

inline constexpr absl::Duration kStartLockWait = absl::Seconds(1);

// Held while a generation finds its predecessor or becomes the first, and while a last owner
// removes its files. Of two that start at once, the second thus sees what the first has made
// (without it both become first, in most tries). Released by destruction, and by the kernel at
// death.
class StartLock {
 public:
  explicit StartLock(OwnedFd fd) : fd_(std::move(fd)) {}
  ~StartLock();
  StartLock(StartLock&&) = default;
  StartLock& operator=(StartLock&&) = delete;

 private:
  OwnedFd fd_;
};

// flock() on `<service>.lock`, which stays there for ever: removing a lock file lets two hold "it".
// Waits up to `wait` for another holder. A loop waits for less.
absl::StatusOr<StartLock> LockStart(const RuntimeDir& dir, absl::string_view service,
                                    absl::Duration wait = kStartLockWait,
                                    Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_SERVICE_RUNTIME_DIR_H_
