// FaultySyscalls wraps the real kernel and lets the n-th call of a kind fail. For tests: count n up
// from 1 until nothing fires any more, and every failing place has been seen.
//
//   for (int n = 1;; ++n) {
//     FaultySyscalls faulty({.kind = Syscall::kSocket, .nth = n, .error = EMFILE});
//     auto bound = BindSocket(address, {}, faulty);
//     if (!faulty.fired()) break;             // there is no n-th call: all were tried
//     EXPECT_EQ(bound.status().code(), absl::StatusCode::kResourceExhausted);
//   }
//
// Threads: any; calls are counted in one order. Lifetime: outlives whatever was given it.
#ifndef ZDD_BASE_FAULTY_SYSCALLS_H_
#define ZDD_BASE_FAULTY_SYSCALLS_H_

#include <atomic>

#include "zdd/base/syscalls.h"

namespace zdd {

enum class Syscall {
  kAny,  // counts calls of every kind
  kSocket,
  kSocketPair,
  kBind,
  kListen,
  kAccept4,
  kConnect,
  kSetSockOpt,
  kGetSockOpt,
  kSendMsg,
  kRecvMsg,
  kDuplicate,
  kEventFd,
  kMemfdCreate,
  kPidfdOpen,
  kOpen,
  kRename,
};

struct Fault {
  Syscall kind = Syscall::kAny;
  int nth = 1;              // counted from 1; 0: never
  int error = 0;            // errno of the failing call, which then never reaches the kernel
  bool persistent = false;  // every call from the n-th on fails, not that one alone
};

class FaultySyscalls : public Syscalls {
 public:
  explicit FaultySyscalls(Fault fault) : fault_(fault) {}

  // Whether the fault has happened at least once.
  bool fired() const { return fired_.load(std::memory_order_relaxed); }
  // How many calls of the fault's kind were made.
  int count() const { return count_.load(std::memory_order_relaxed); }

  int Socket(int domain, int type, int protocol) override;
  int SocketPair(int domain, int type, int protocol, int fds[2]) override;
  int Bind(int fd, const sockaddr* address, socklen_t size) override;
  int Listen(int fd, int backlog) override;
  int Accept4(int fd, sockaddr* peer, socklen_t* size, int flags) override;
  int Connect(int fd, const sockaddr* address, socklen_t size) override;
  int SetSockOpt(int fd, int level, int option, const void* value, socklen_t size) override;
  int GetSockOpt(int fd, int level, int option, void* value, socklen_t* size) override;
  ssize_t SendMsg(int fd, const msghdr* message, int flags) override;
  ssize_t RecvMsg(int fd, msghdr* message, int flags) override;
  int Duplicate(int fd) override;
  int EventFd(unsigned initial, int flags) override;
  int MemfdCreate(const char* name, unsigned flags) override;
  int PidfdOpen(pid_t pid, unsigned flags) override;
  int Open(const char* path, int flags, mode_t mode) override;
  int Rename(const char* from, const char* to) override;

 private:
  // Counts a call of `kind`; true, with errno set, if it is to fail.
  bool Fails(Syscall kind);

  const Fault fault_;
  // Pair with nothing: they count, they publish no other data.
  std::atomic<int> count_{0};
  std::atomic<bool> fired_{false};
};

}  // namespace zdd

#endif  // ZDD_BASE_FAULTY_SYSCALLS_H_
