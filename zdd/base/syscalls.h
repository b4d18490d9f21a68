// Syscalls is the seam between zdd and the kernel: one virtual method for each system call whose
// failure zdd must survive, so that a test can make the n-th one fail (faulty_syscalls.h).
//
//   absl::StatusOr<BoundSocket> BindSocket(const Address&, const SocketOptions&, Syscalls&);
//
//   OwnedFd fd(syscalls.Socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
//   if (!fd.valid()) return ErrnoStatus(errno, "socket tcp");
//
// Each method is the call of its name in section 2 of the manual: same arguments, same answer, same
// errno. What cannot fail in the field, or fails only by our own mistake (close, getsockname, lstat
// of our own file), stays a plain call: a seam that nobody tests is noise.
//
// Threads: any. Lifetime: Real() lives for ever; whoever keeps a reference is outlived by it.
#ifndef ZDD_BASE_SYSCALLS_H_
#define ZDD_BASE_SYSCALLS_H_

#include <sys/socket.h>
#include <sys/types.h>

#include "zdd/base/owned_fd.h"

namespace zdd {

class Syscalls {
 public:
  // The kernel itself.
  static Syscalls& Real();

  virtual ~Syscalls() = default;
  Syscalls(const Syscalls&) = delete;
  Syscalls& operator=(const Syscalls&) = delete;

  virtual int Socket(int domain, int type, int protocol);
  virtual int SocketPair(int domain, int type, int protocol, int fds[2]);
  virtual int Bind(int fd, const sockaddr* address, socklen_t size);
  virtual int Listen(int fd, int backlog);
  virtual int Accept4(int fd, sockaddr* peer, socklen_t* size, int flags);
  virtual int Connect(int fd, const sockaddr* address, socklen_t size);
  virtual int SetSockOpt(int fd, int level, int option, const void* value, socklen_t size);
  virtual int GetSockOpt(int fd, int level, int option, void* value, socklen_t* size);
  virtual ssize_t SendMsg(int fd, const msghdr* message, int flags);
  virtual ssize_t RecvMsg(int fd, msghdr* message, int flags);

  // fcntl(fd, F_DUPFD_CLOEXEC, 3).
  virtual int Duplicate(int fd);
  virtual int EventFd(unsigned initial, int flags);
  virtual int MemfdCreate(const char* name, unsigned flags);
  virtual int PidfdOpen(pid_t pid, unsigned flags);
  virtual int Open(const char* path, int flags, mode_t mode);
  virtual int Rename(const char* from, const char* to);

 protected:
  Syscalls() = default;
};

// `fd` itself, or, where it is 0, 1 or 2 (the process was started with one of them closed), its
// duplicate from 3 on: what later writes to "stderr" must not end up in a client's connection.
// Invalid, with errno set, when `fd` was invalid or no duplicate is to be had.
OwnedFd AboveStdio(OwnedFd fd, Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_BASE_SYSCALLS_H_
