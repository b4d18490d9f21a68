#include "zdd/base/syscalls.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace zdd {

Syscalls& Syscalls::Real() {
  // Stateless, and never destroyed: it is still there for whatever runs during exit().
  static Syscalls* const real = new Syscalls;
  return *real;
}

int Syscalls::Socket(int domain, int type, int protocol) { return socket(domain, type, protocol); }

int Syscalls::SocketPair(int domain, int type, int protocol, int fds[2]) {
  return socketpair(domain, type, protocol, fds);
}

int Syscalls::Bind(int fd, const sockaddr* address, socklen_t size) {
  return bind(fd, address, size);
}

int Syscalls::Listen(int fd, int backlog) { return listen(fd, backlog); }

int Syscalls::Accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
  return accept4(fd, peer, size, flags);
}

int Syscalls::Connect(int fd, const sockaddr* address, socklen_t size) {
  return connect(fd, address, size);
}

int Syscalls::SetSockOpt(int fd, int level, int option, const void* value, socklen_t size) {
  return setsockopt(fd, level, option, value, size);
}

int Syscalls::GetSockOpt(int fd, int level, int option, void* value, socklen_t* size) {
  return getsockopt(fd, level, option, value, size);
}

ssize_t Syscalls::SendMsg(int fd, const msghdr* message, int flags) {
  return sendmsg(fd, message, flags);
}

ssize_t Syscalls::RecvMsg(int fd, msghdr* message, int flags) {
  return recvmsg(fd, message, flags);
}

int Syscalls::Duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }

int Syscalls::EventFd(unsigned initial, int flags) { return eventfd(initial, flags); }

int Syscalls::MemfdCreate(const char* name, unsigned flags) { return memfd_create(name, flags); }

int Syscalls::PidfdOpen(pid_t pid, unsigned flags) {
  // glibc has a wrapper from 2.36 on.
  return static_cast<int>(syscall(SYS_pidfd_open, pid, flags));
}

int Syscalls::Open(const char* path, int flags, mode_t mode) { return open(path, flags, mode); }

int Syscalls::Rename(const char* from, const char* to) { return rename(from, to); }

OwnedFd AboveStdio(OwnedFd fd, Syscalls& syscalls) {
  if (!fd.valid() || fd.get() > 2) return fd;
  return OwnedFd(syscalls.Duplicate(fd.get()));
}

}  // namespace zdd
