#include "zdd/service/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/service/service_name.h"

namespace zdd {
namespace {

constexpr mode_t kControlMode = S_IRUSR | S_IWUSR;

// One for all: it is used only under the start lock.
std::string TemporaryName(absl::string_view service) { return absl::StrCat(service, ".sock.new"); }

struct UnixPath {
  sockaddr_un address{};
  // Of `name` in `dir`. It fits: "/proc/self/fd/", a number, and a name of at most 50 bytes.
  UnixPath(const RuntimeDir& dir, absl::string_view name) {
    address.sun_family = AF_UNIX;
    std::string path = dir.ShortPath(name);
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  static constexpr socklen_t kSize = sizeof(sockaddr_un);
};

OwnedFd NewSocket(Syscalls& syscalls) {
  int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
  return AboveStdio(OwnedFd(syscalls.Socket(AF_UNIX, type, 0)), syscalls);
}

absl::StatusOr<ControlConnection> NotConnected(int error, const std::string& path) {
  switch (error) {
    case ENOENT:
      return ControlConnection{ControlConnection::kAbsent, OwnedFd()};
    case ECONNREFUSED:
      return ControlConnection{ControlConnection::kStale, OwnedFd()};
    case EPROTOTYPE:
      return absl::FailedPreconditionError(absl::StrCat(
          "connect ", path, ": another kind of socket lives there, not zdd's; stop that program"));
    case EAGAIN:
      return absl::UnavailableError(absl::StrCat("connect ", path, ": the owner does not accept, ",
                                                 kControlBacklog, " wait already"));
    default:
      return ErrnoStatus(error, absl::StrCat("connect ", path));
  }
}

// What lies at `name` may be replaced only if it is a socket: anything else was not made by us.
absl::Status CheckReplaceable(const RuntimeDir& dir, const std::string& name) {
  struct stat facts;
  if (fstatat(dir.fd.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("stat ", dir.LongPath(name)));
  }
  if (S_ISSOCK(facts.st_mode)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(dir.LongPath(name), ": no socket, so not zdd's; remove it"));
}

absl::StatusOr<OwnedFd> ListenAt(const RuntimeDir& dir, const std::string& name,
                                 Syscalls& syscalls) {
  OwnedFd fd = NewSocket(syscalls);
  if (!fd.valid()) return ErrnoStatus(errno, "socket control");
  UnixPath path(dir, name);
  if (syscalls.Bind(fd.get(), path.get(), UnixPath::kSize) != 0) {
    return ErrnoStatus(errno, absl::StrCat("bind ", dir.LongPath(name)));
  }
  if (fchmodat(dir.fd.get(), name.c_str(), kControlMode, 0) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", dir.LongPath(name)));
  }
  if (syscalls.Listen(fd.get(), kControlBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listen ", dir.LongPath(name)));
  }
  return fd;
}

absl::StatusOr<SocketFile> FileAt(const RuntimeDir& dir, const std::string& name) {
  struct stat facts;
  if (fstatat(dir.fd.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", dir.LongPath(name)));
  }
  return SocketFile{dir.LongPath(name), facts.st_dev, facts.st_ino};
}

}  // namespace

std::string ControlSocketName(absl::string_view service) { return absl::StrCat(service, ".sock"); }

absl::StatusOr<ControlConnection> ConnectControl(const RuntimeDir& dir, absl::string_view service,
                                                 Syscalls& syscalls) {
  absl::Status named = CheckServiceName(service);
  if (!named.ok()) return named;
  std::string name = ControlSocketName(service);
  OwnedFd fd = NewSocket(syscalls);
  if (!fd.valid()) return ErrnoStatus(errno, "socket control");
  UnixPath path(dir, name);
  if (syscalls.Connect(fd.get(), path.get(), UnixPath::kSize) != 0) {
    return NotConnected(errno, dir.LongPath(name));
  }
  absl::Status trusted = CheckPeer(fd.get(), syscalls);
  if (!trusted.ok()) return Annotate(trusted, absl::StrCat("connect ", dir.LongPath(name)));
  return ControlConnection{ControlConnection::kConnected, std::move(fd)};
}

absl::StatusOr<ControlSocket> BindControl(const RuntimeDir& dir, absl::string_view service,
                                          const StartLock& /*lock*/, Syscalls& syscalls) {
  std::string name = ControlSocketName(service);
  absl::Status replaceable = CheckReplaceable(dir, name);
  if (!replaceable.ok()) return replaceable;
  std::string temporary = TemporaryName(service);
  unlinkat(dir.fd.get(), temporary.c_str(), 0);  // of one that died between bind and rename
  absl::Cleanup remove = [&] { unlinkat(dir.fd.get(), temporary.c_str(), 0); };
  absl::StatusOr<OwnedFd> fd = ListenAt(dir, temporary, syscalls);
  if (!fd.ok()) return fd.status();
  absl::StatusOr<SocketFile> file = FileAt(dir, temporary);
  if (!file.ok()) return file.status();
  file->path = dir.LongPath(name);
  if (syscalls.Rename(dir.ShortPath(temporary).c_str(), dir.ShortPath(name).c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename ", dir.LongPath(temporary), " to ", name));
  }
  std::move(remove).Cancel();
  return ControlSocket{*std::move(fd), *std::move(file)};
}

absl::StatusOr<ControlStart> JoinOrBindControl(const RuntimeDir& dir, absl::string_view service,
                                               absl::Duration wait, Syscalls& syscalls) {
  absl::StatusOr<StartLock> lock = LockStart(dir, service, wait, syscalls);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<ControlConnection> connection = ConnectControl(dir, service, syscalls);
  if (!connection.ok()) return connection.status();
  ControlStart start;
  if (connection->answer == ControlConnection::kConnected) {
    start.predecessor = std::move(connection->fd);
    return start;
  }
  absl::StatusOr<ControlSocket> bound = BindControl(dir, service, *lock, syscalls);
  if (!bound.ok()) return bound.status();
  start.bound = *std::move(bound);
  return start;
}

absl::Status UnlinkControl(const RuntimeDir& dir, absl::string_view service, const SocketFile& file,
                           const StartLock& /*lock*/) {
  std::string name = ControlSocketName(service);
  absl::StatusOr<SocketFile> there = FileAt(dir, name);
  if (absl::IsNotFound(there.status())) return absl::OkStatus();
  if (!there.ok()) return there.status();
  if (there->device != file.device || there->inode != file.inode) return absl::OkStatus();
  if (unlinkat(dir.fd.get(), name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("unlink ", dir.LongPath(name)));
}

absl::Status ListenAgain(int fd, Syscalls& syscalls) {
  if (syscalls.Listen(fd, kControlBacklog) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "listen control socket");
}

absl::Status CheckPeer(int fd, Syscalls& syscalls) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (syscalls.GetSockOpt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return ErrnoStatus(errno, "getsockopt SO_PEERCRED");
  }
  if (peer.uid == geteuid() || peer.uid == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("peer pid ", peer.pid, ": runs as uid ", peer.uid,
                                                  ", not as ours (uid ", geteuid(), ") or root"));
}

}  // namespace zdd
