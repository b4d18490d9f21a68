#include "zdd/net/socket_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

// How long another holder of a directory's lock is waited for.
constexpr int kLockTries = 40;
constexpr int kLockPauseMs = 5;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The first part of `path` that is missing or no directory: what a user has to make. Not the last
// part, which is made here.
std::string FirstMissing(const std::string& path) {
  struct stat found;
  for (size_t slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    if (stat(part.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return part;
  }
  return DirectoryOf(path);
}

// What the failure of a call on `path` means for whoever chose it.
absl::Status PathError(int error, absl::string_view operation, const std::string& path) {
  const std::string directory = DirectoryOf(path);
  std::string hint;
  if (error == ENOENT) {
    hint = absl::StrCat("; directory ", FirstMissing(path), " is missing: mkdir -p ", directory);
  } else if (error == ENOTDIR) {
    hint = absl::StrCat("; ", FirstMissing(path), " is no directory");
  } else if (error == EACCES) {
    hint = absl::StrCat("; uid ", geteuid(), " may not write to directory ", directory);
  }
  const absl::Status status = ErrnoStatus(error, operation);
  return absl::Status(status.code(), absl::StrCat(status.message(), hint));
}

absl::Status CannotReplace(const Address& address, absl::StatusCode code,
                           absl::string_view reason) {
  return absl::Status(code, absl::StrCat("bind ", address.ToString(), ": ", reason));
}

// Ok if nobody answers at `address`, whose file exists: it may be removed.
absl::Status CheckStale(const Address& address, Syscalls& syscalls) {
  OwnedFd probe(syscalls.Socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return ErrnoStatus(errno, "socket unix");
  const int result = syscalls.Connect(probe.get(), address.sockaddr(), address.size());
  const int error = result == 0 ? 0 : errno;
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:  // removed meanwhile
      return absl::OkStatus();
    case 0:
    case EAGAIN:      // its queue is full
    case EPROTOTYPE:  // it is a datagram or seqpacket socket, and open
      return CannotReplace(address, absl::StatusCode::kAlreadyExists,
                           "somebody listens there already");
    default:
      return ErrnoStatus(
          error, absl::StrCat("connect ", address.ToString(), " to see whether its file is stale"));
  }
}

absl::Status RemoveStale(const Address& address, const std::string& path, Syscalls& syscalls) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? absl::OkStatus()
                           : PathError(errno, absl::StrCat("lstat ", path), path);
  }
  if (!S_ISSOCK(found.st_mode)) {
    return CannotReplace(address, absl::StatusCode::kFailedPrecondition,
                         "the file there is no socket; remove it or choose another path");
  }
  absl::Status stale = CheckStale(address, syscalls);
  if (!stale.ok()) return stale;
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("unlink stale ", path));
}

}  // namespace

SocketDirectoryLock::SocketDirectoryLock(const std::string& path, Syscalls& syscalls)
    : directory_(syscalls.Open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)) {
  // Without a blocking flock(): a stranger may hold it for ever, and the lock only keeps two zdd
  // processes that start in the same instant from removing each other's file.
  for (int i = 0; directory_.valid(); ++i) {
    if (flock(directory_.get(), LOCK_EX | LOCK_NB) == 0) return;
    if (errno != EWOULDBLOCK || i == kLockTries) break;
    poll(nullptr, 0, kLockPauseMs);
  }
  directory_.Reset();
}

absl::StatusOr<SocketFile> BindSocketFile(int fd, const Address& address, absl::optional<int> mode,
                                          Syscalls& syscalls) {
  const std::string path(address.path());
  absl::Status removed = RemoveStale(address, path, syscalls);
  if (!removed.ok()) return removed;
  if (syscalls.Bind(fd, address.sockaddr(), address.size()) != 0) {
    return PathError(errno, absl::StrCat("bind ", address.ToString()), path);
  }
  // Nobody can connect yet: the socket does not listen.
  if (mode.has_value() && chmod(path.c_str(), *mode) != 0) {
    absl::Status status = ErrnoStatus(errno, absl::StrCat("chmod ", path));
    unlink(path.c_str());
    return status;
  }
  absl::StatusOr<SocketFile> file = FindSocketFile(path);
  if (!file.ok()) unlink(path.c_str());
  return file;
}

absl::StatusOr<SocketFile> FindSocketFile(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) return ErrnoStatus(errno, absl::StrCat("lstat ", path));
  if (!S_ISSOCK(found.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("lstat ", path, ": no socket"));
  }
  return SocketFile{path, found.st_dev, found.st_ino};
}

bool StillThere(const SocketFile& file) {
  absl::StatusOr<SocketFile> now = FindSocketFile(file.path);
  return now.ok() && now->device == file.device && now->inode == file.inode;
}

std::string LossOf(const SocketFile& file) {
  if (access(DirectoryOf(file.path).c_str(), F_OK) != 0) return "its directory was removed";
  if (access(file.path.c_str(), F_OK) != 0) return "it was removed";
  return "another took its place, on which nobody answers";
}

absl::Status UnlinkOwn(const SocketFile& file) {
  // So that nobody replaces the file between the look and the removal.
  SocketDirectoryLock lock(file.path);
  if (!StillThere(file) || unlink(file.path.c_str()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("unlink ", file.path));
}

}  // namespace zdd
