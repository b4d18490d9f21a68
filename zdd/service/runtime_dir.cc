#include "zdd/service/runtime_dir.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "zdd/base/status.h"
#include "zdd/base/time.h"
#include "zdd/service/service_name.h"

namespace zdd {
namespace {

constexpr mode_t kOpenToOthers = S_IRWXG | S_IRWXO;

// How often the lock is tried for. Its holders have it for well under a millisecond.
constexpr absl::Duration kLockTryFirst = absl::Milliseconds(1);
constexpr absl::Duration kLockTryMax = absl::Milliseconds(16);

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::string Named(absl::string_view path) { return absl::StrCat("runtime directory ", path); }

absl::StatusOr<OwnedFd> OpenDirectory(const std::string& path, Syscalls& syscalls) {
  // A symlink as the last part could be turned at any time, by whoever owns it.
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  OwnedFd fd = AboveStdio(OwnedFd(syscalls.Open(path.c_str(), flags, 0)), syscalls);
  if (fd.valid()) return fd;
  int error = errno;
  struct stat facts;
  if ((error == ENOTDIR || error == ELOOP) && lstat(path.c_str(), &facts) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(Named(path), S_ISLNK(facts.st_mode) ? ": a symbolic link" : ": no directory",
                     "; remove it, or set Options::runtime_dir"));
  }
  return ErrnoStatus(error, absl::StrCat("open ", Named(path)));
}

// What is wrong with a directory of these facts.
absl::Status CheckClosedToOthers(const struct stat& facts, const std::string& path) {
  if (facts.st_uid != geteuid()) {
    return absl::PermissionDeniedError(
        absl::StrFormat("%s: belongs to uid %d, not to us (uid %d); remove it, or set "
                        "Options::runtime_dir",
                        Named(path), facts.st_uid, geteuid()));
  }
  if ((facts.st_mode & kOpenToOthers) != 0) {
    return absl::PermissionDeniedError(
        absl::StrFormat("%s: open to others (mode %04o, at most 0700); chmod 0700 it, or set "
                        "Options::runtime_dir",
                        Named(path), facts.st_mode & 07777));
  }
  return absl::OkStatus();
}

absl::Status CheckDirectory(int fd, const std::string& path, bool just_made) {
  struct stat facts;
  if (fstat(fd, &facts) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", Named(path)));
  absl::Status ours = CheckClosedToOthers(facts, path);
  if (!ours.ok()) return ours;
  // A strict umask took even our own bits from what we made.
  if (just_made && (facts.st_mode & S_IRWXU) != S_IRWXU && fchmod(fd, S_IRWXU) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", Named(path)));
  }
  return absl::OkStatus();
}

}  // namespace

RuntimeDirHints RuntimeDirHints::Of(absl::string_view option) {
  return {std::string(option), Environment("ZDD_RUNTIME_DIR"), Environment("XDG_RUNTIME_DIR"),
          geteuid()};
}

std::string ChooseRuntimeDir(const RuntimeDirHints& hints) {
  if (!hints.option.empty()) return hints.option;
  if (!hints.zdd_runtime_dir.empty()) return hints.zdd_runtime_dir;
  if (absl::StartsWith(hints.xdg_runtime_dir, "/")) {
    return absl::StrCat(hints.xdg_runtime_dir, "/zdd");
  }
  return hints.uid == 0 ? "/run/zdd" : absl::StrCat("/tmp/zdd-", hints.uid);
}

std::string RuntimeDir::ShortPath(absl::string_view name) const {
  return absl::StrCat("/proc/self/fd/", fd.get(), "/", name);
}

std::string RuntimeDir::LongPath(absl::string_view name) const {
  return absl::StrCat(path, absl::EndsWith(path, "/") ? "" : "/", name);
}

absl::StatusOr<RuntimeDir> EnsureRuntimeDir(absl::string_view path, Syscalls& syscalls) {
  if (!absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        Named(path), ": no absolute path; generations may start in different directories"));
  }
  RuntimeDir dir{OwnedFd(), std::string(path)};
  // O_NOFOLLOW looks at the last part only if no slash stands behind it.
  while (dir.path.size() > 1 && dir.path.back() == '/') dir.path.pop_back();
  bool made = mkdir(dir.path.c_str(), S_IRWXU) == 0;
  if (!made && errno != EEXIST) return ErrnoStatus(errno, absl::StrCat("mkdir ", Named(dir.path)));
  absl::StatusOr<OwnedFd> fd = OpenDirectory(dir.path, syscalls);
  if (!fd.ok()) return fd.status();
  dir.fd = *std::move(fd);
  absl::Status checked = CheckDirectory(dir.fd.get(), dir.path, made);
  if (!checked.ok()) return checked;
  return dir;
}

StartLock::~StartLock() {
  // Closing alone would leave it locked while a forked child has the descriptor too.
  if (fd_.valid()) flock(fd_.get(), LOCK_UN);
}

absl::StatusOr<StartLock> LockStart(const RuntimeDir& dir, absl::string_view service,
                                    absl::Duration wait, Syscalls& syscalls) {
  absl::Status named = CheckServiceName(service);
  if (!named.ok()) return named;
  std::string name = absl::StrCat(service, ".lock");
  int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  OwnedFd fd(syscalls.Open(dir.ShortPath(name).c_str(), flags, S_IRUSR | S_IWUSR));
  fd = AboveStdio(std::move(fd), syscalls);
  if (!fd.valid()) {
    const char* hint = errno == ENOENT ? " (the directory is gone, or /proc is not mounted)" : "";
    return ErrnoStatus(errno, absl::StrCat("open ", dir.LongPath(name), hint));
  }
  const Instant deadline = MonotonicNow() + wait;
  absl::Duration pause = kLockTryFirst;
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return ErrnoStatus(errno, absl::StrCat("flock ", dir.LongPath(name)));
    }
    if (MonotonicNow() >= deadline) {
      return absl::UnavailableError(absl::StrCat("lock ", dir.LongPath(name),
                                                 ": held by another start for more than ",
                                                 absl::FormatDuration(wait)));
    }
    timespec rest = absl::ToTimespec(pause);
    ppoll(nullptr, 0, &rest, nullptr);
    pause = std::min(pause * 2, kLockTryMax);
  }
  return StartLock(std::move(fd));
}

}  // namespace zdd
