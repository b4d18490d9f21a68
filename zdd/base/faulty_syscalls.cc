#include "zdd/base/faulty_syscalls.h"

#include <cerrno>

namespace zdd {

bool FaultySyscalls::Fails(Syscall kind) {
  if (fault_.kind != Syscall::kAny && fault_.kind != kind) return false;
  int n = count_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (fault_.nth == 0 || n < fault_.nth || (n > fault_.nth && !fault_.persistent)) return false;
  fired_.store(true, std::memory_order_relaxed);
  errno = fault_.error;
  return true;
}

int FaultySyscalls::Socket(int domain, int type, int protocol) {
  return Fails(Syscall::kSocket) ? -1 : Syscalls::Socket(domain, type, protocol);
}

int FaultySyscalls::SocketPair(int domain, int type, int protocol, int fds[2]) {
  return Fails(Syscall::kSocketPair) ? -1 : Syscalls::SocketPair(domain, type, protocol, fds);
}

int FaultySyscalls::Bind(int fd, const sockaddr* address, socklen_t size) {
  return Fails(Syscall::kBind) ? -1 : Syscalls::Bind(fd, address, size);
}

int FaultySyscalls::Listen(int fd, int backlog) {
  return Fails(Syscall::kListen) ? -1 : Syscalls::Listen(fd, backlog);
}

int FaultySyscalls::Accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
  return Fails(Syscall::kAccept4) ? -1 : Syscalls::Accept4(fd, peer, size, flags);
}

int FaultySyscalls::Connect(int fd, const sockaddr* address, socklen_t size) {
  return Fails(Syscall::kConnect) ? -1 : Syscalls::Connect(fd, address, size);
}

int FaultySyscalls::SetSockOpt(int fd, int level, int option, const void* value, socklen_t size) {
  return Fails(Syscall::kSetSockOpt) ? -1 : Syscalls::SetSockOpt(fd, level, option, value, size);
}

int FaultySyscalls::GetSockOpt(int fd, int level, int option, void* value, socklen_t* size) {
  return Fails(Syscall::kGetSockOpt) ? -1 : Syscalls::GetSockOpt(fd, level, option, value, size);
}

ssize_t FaultySyscalls::SendMsg(int fd, const msghdr* message, int flags) {
  return Fails(Syscall::kSendMsg) ? -1 : Syscalls::SendMsg(fd, message, flags);
}

ssize_t FaultySyscalls::RecvMsg(int fd, msghdr* message, int flags) {
  return Fails(Syscall::kRecvMsg) ? -1 : Syscalls::RecvMsg(fd, message, flags);
}

int FaultySyscalls::Duplicate(int fd) {
  return Fails(Syscall::kDuplicate) ? -1 : Syscalls::Duplicate(fd);
}

int FaultySyscalls::EventFd(unsigned initial, int flags) {
  return Fails(Syscall::kEventFd) ? -1 : Syscalls::EventFd(initial, flags);
}

int FaultySyscalls::MemfdCreate(const char* name, unsigned flags) {
  return Fails(Syscall::kMemfdCreate) ? -1 : Syscalls::MemfdCreate(name, flags);
}

int FaultySyscalls::PidfdOpen(pid_t pid, unsigned flags) {
  return Fails(Syscall::kPidfdOpen) ? -1 : Syscalls::PidfdOpen(pid, flags);
}

int FaultySyscalls::Open(const char* path, int flags, mode_t mode) {
  return Fails(Syscall::kOpen) ? -1 : Syscalls::Open(path, flags, mode);
}

int FaultySyscalls::Rename(const char* from, const char* to) {
  return Fails(Syscall::kRename) ? -1 : Syscalls::Rename(from, to);
}

}  // namespace zdd
