#include "zdd/base/faulty_syscalls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

int EventFd(Syscalls& syscalls) { return OwnedFd(syscalls.EventFd(0, EFD_CLOEXEC)).get(); }

TEST(FaultySyscallsTest, TheNthCallFailsAndNoOther) {
  FdAudit audit;
  FaultySyscalls faulty({.kind = Syscall::kEventFd, .nth = 3, .error = EMFILE});
  EXPECT_GE(EventFd(faulty), 0);
  EXPECT_GE(EventFd(faulty), 0);
  EXPECT_FALSE(faulty.fired());
  errno = 0;
  EXPECT_EQ(EventFd(faulty), -1);
  EXPECT_EQ(errno, EMFILE);
  EXPECT_TRUE(faulty.fired());
  EXPECT_GE(EventFd(faulty), 0);
  EXPECT_EQ(faulty.count(), 4);
}

TEST(FaultySyscallsTest, APersistentFaultStays) {
  FaultySyscalls faulty({.kind = Syscall::kEventFd, .nth = 2, .error = ENFILE, .persistent = true});
  EXPECT_GE(EventFd(faulty), 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(EventFd(faulty), -1);
}

TEST(FaultySyscallsTest, OtherKindsAreNeitherCountedNorHurt) {
  FaultySyscalls faulty({.kind = Syscall::kSocket, .nth = 1, .error = EMFILE});
  EXPECT_GE(EventFd(faulty), 0);
  EXPECT_EQ(faulty.count(), 0);
  EXPECT_FALSE(faulty.fired());
}

TEST(FaultySyscallsTest, WithoutANumberNothingFailsAndAllIsCounted) {
  FaultySyscalls faulty({.nth = 0, .error = EMFILE, .persistent = true});
  for (int i = 0; i < 3; ++i) EXPECT_GE(EventFd(faulty), 0);
  EXPECT_EQ(faulty.count(), 3);
}

// Each kind with a call that works when the kernel is asked, so that a method which forgets its
// fault, or its kernel, is found.
class EachSyscallTest : public ::testing::Test {
 protected:
  EachSyscallTest() {
    EXPECT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair_), 0);
  }
  ~EachSyscallTest() override {
    for (int fd : {pipe_[0], pipe_[1], pair_[0], pair_[1]}) close(fd);
  }

  static int Close(int fd) {
    if (fd >= 0) close(fd);
    return fd;
  }

  // A TCP socket, bound and listening where asked, and a client of it.
  int WithSocket(Syscalls& s, Syscall kind) {
    OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* address = reinterpret_cast<sockaddr*>(&name);
    socklen_t size = sizeof name;
    if (kind == Syscall::kBind) return s.Bind(fd.get(), address, size);
    if (kind == Syscall::kListen) return s.Listen(fd.get(), 5);
    bind(fd.get(), address, size);
    listen(fd.get(), 5);
    getsockname(fd.get(), address, &size);
    OwnedFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (kind == Syscall::kConnect) return s.Connect(client.get(), address, size);
    connect(client.get(), address, size);
    return Close(s.Accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  ssize_t Message(Syscalls& s, bool send) {
    char byte = 'x';
    iovec vector = {&byte, 1};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (send) return s.SendMsg(pair_[0], &message, MSG_DONTWAIT);
    (void)!write(pair_[0], &byte, 1);
    return s.RecvMsg(pair_[1], &message, MSG_DONTWAIT);
  }

  ssize_t Call(Syscalls& s, Syscall kind) {
    int value = 1;
    socklen_t size = sizeof value;
    int fds[2] = {-1, -1};
    switch (kind) {
      case Syscall::kAny:
        return 0;
      case Syscall::kSocket:
        return Close(s.Socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      case Syscall::kSocketPair: {
        int result = s.SocketPair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
        Close(fds[0]);
        Close(fds[1]);
        return result;
      }
      case Syscall::kBind:
      case Syscall::kListen:
      case Syscall::kAccept4:
      case Syscall::kConnect:
        return WithSocket(s, kind);
      case Syscall::kSetSockOpt:
        return s.SetSockOpt(pair_[0], SOL_SOCKET, SO_PASSCRED, &value, size);
      case Syscall::kGetSockOpt:
        return s.GetSockOpt(pair_[0], SOL_SOCKET, SO_TYPE, &value, &size);
      case Syscall::kSendMsg:
        return Message(s, true);
      case Syscall::kRecvMsg:
        return Message(s, false);
      case Syscall::kDuplicate:
        return Close(s.Duplicate(pipe_[0]));
      case Syscall::kEventFd:
        return Close(s.EventFd(0, EFD_CLOEXEC));
      case Syscall::kMemfdCreate:
        return Close(s.MemfdCreate("x", MFD_CLOEXEC));
      case Syscall::kPidfdOpen:
        return Close(s.PidfdOpen(getpid(), 0));
      case Syscall::kOpen:
        return Close(s.Open(dir_.File("x").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
      case Syscall::kRename:
        Close(open(dir_.File("x").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        return s.Rename(dir_.File("x").c_str(), dir_.File("y").c_str());
    }
    return -2;
  }

  TempDir dir_;
  int pipe_[2];
  int pair_[2];
};

TEST_F(EachSyscallTest, EachKindReachesTheKernelOrFailsAsAsked) {
  FdAudit audit;
  for (int i = 1; i <= static_cast<int>(Syscall::kRename); ++i) {
    const Syscall kind = static_cast<Syscall>(i);
    EXPECT_GE(Call(Syscalls::Real(), kind), 0) << i;
    FaultySyscalls faulty({.kind = kind, .nth = 1, .error = EXDEV});
    EXPECT_EQ(Call(faulty, kind), -1) << i;
    EXPECT_EQ(errno, EXDEV) << i;
    EXPECT_TRUE(faulty.fired()) << i;
    EXPECT_GE(Call(faulty, kind), 0) << i;
  }
}

}  // namespace
}  // namespace zdd
