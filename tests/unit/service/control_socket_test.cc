#include "zdd/service/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;

class ControlSocketTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir temp_;
  RuntimeDir dir_;

  void SetUp() override { ASSERT_OK_AND_MOVE(dir_, EnsureRuntimeDir(temp_.File("run"))); }

  // The first generation's socket.
  ControlSocket Bind() {
    absl::StatusOr<ControlStart> start = JoinOrBindControl(dir_, "hello");
    EXPECT_OK(start);
    EXPECT_TRUE(start.ok() && start->bound.has_value());
    return start.ok() && start->bound ? *std::move(start->bound) : ControlSocket{};
  }
  ControlConnection::Answer Answer() {
    absl::StatusOr<ControlConnection> connection = ConnectControl(dir_, "hello");
    EXPECT_OK(connection);
    return connection.ok() ? connection->answer : ControlConnection::kAbsent;
  }
  StartLock Lock() { return *LockStart(dir_, "hello"); }
  std::vector<std::string> Files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

pid_t PeerPid(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer.pid;
}

TEST_F(ControlSocketTest, AbsentStaleAndConnectedAreToldApart) {
  EXPECT_EQ(Answer(), ControlConnection::kAbsent);
  {
    ControlSocket owner = Bind();
    EXPECT_EQ(Answer(), ControlConnection::kConnected);
  }
  EXPECT_EQ(Answer(), ControlConnection::kStale);
}

TEST_F(ControlSocketTest, TheFirstBindsAndTheSecondFindsIt) {
  ControlSocket owner = Bind();
  ASSERT_OK_AND_MOVE(ControlStart second, JoinOrBindControl(dir_, "hello"));
  EXPECT_FALSE(second.bound.has_value());
  EXPECT_EQ(PeerPid(second.predecessor.get()), getpid());
  OwnedFd accepted(accept4(owner.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted.valid());
  EXPECT_EQ(send(accepted.get(), "x", 1, 0), 1);
  char byte;
  EXPECT_EQ(recv(second.predecessor.get(), &byte, 1, 0), 1);
}

TEST_F(ControlSocketTest, TheSocketIsPrivateAndNonBlocking) {
  mode_t before = umask(0);
  ControlSocket owner = Bind();
  umask(before);
  struct stat facts;
  ASSERT_EQ(lstat(owner.file.path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600u);
  EXPECT_EQ(facts.st_ino, owner.file.inode);
  EXPECT_EQ(fcntl(owner.fd.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_NE(fcntl(owner.fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_THAT(Files(), ElementsAre("hello.lock", "hello.sock"));
}

TEST_F(ControlSocketTest, AStaleFileIsReplaced) {
  { ControlSocket dead = Bind(); }
  ControlSocket owner = Bind();
  EXPECT_EQ(Answer(), ControlConnection::kConnected);
}

TEST_F(ControlSocketTest, WhatADeathBetweenBindAndRenameLeavesIsReplaced) {
  ControlSocket half = Bind();
  std::filesystem::rename(half.file.path, half.file.path + ".new");
  ControlSocket owner = Bind();
  EXPECT_EQ(Answer(), ControlConnection::kConnected);
  EXPECT_THAT(Files(), ElementsAre("hello.lock", "hello.sock"));
}

TEST_F(ControlSocketTest, ALongDirectoryNameDoesNotMatter) {
  std::string path = temp_.path();
  for (int i = 0; i < 5; ++i) {
    path += "/" + std::string(100, 'x');
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  }
  ASSERT_OK_AND_MOVE(dir_, EnsureRuntimeDir(path));
  ControlSocket owner = Bind();
  EXPECT_EQ(Answer(), ControlConnection::kConnected);
  EXPECT_OK(UnlinkControl(dir_, "hello", owner.file, Lock()));
}

TEST_F(ControlSocketTest, WhatIsNoSocketIsNeverReplaced) {
  std::ofstream(dir_.LongPath("hello.sock")) << "precious";
  EXPECT_STATUS(JoinOrBindControl(dir_, "hello"), kFailedPrecondition, "hello.sock: no socket");
  EXPECT_EQ(std::filesystem::file_size(dir_.LongPath("hello.sock")), 8u);
  std::filesystem::remove(dir_.LongPath("hello.sock"));
  std::filesystem::create_symlink("nowhere", dir_.LongPath("hello.sock"));
  EXPECT_STATUS(JoinOrBindControl(dir_, "hello"), kFailedPrecondition, "hello.sock: no socket");
}

TEST_F(ControlSocketTest, AnotherKindOfSocketIsNeverReplaced) {
  OwnedFd stream(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  dir_.LongPath("hello.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(stream.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(stream.get(), 1), 0);
  EXPECT_STATUS(JoinOrBindControl(dir_, "hello"), kFailedPrecondition, "another kind of socket");
}

TEST_F(ControlSocketTest, AnOwnerThatAcceptsNobodyIsUnavailable) {
  ControlSocket owner = Bind();
  std::vector<OwnedFd> waiting;
  for (int i = 0; i <= kControlBacklog; ++i) {
    ASSERT_OK_AND_MOVE(ControlConnection connection, ConnectControl(dir_, "hello"));
    waiting.push_back(std::move(connection.fd));
  }
  EXPECT_STATUS(ConnectControl(dir_, "hello"), kUnavailable, "the owner does not accept");
  EXPECT_STATUS(JoinOrBindControl(dir_, "hello"), kUnavailable, "the owner does not accept");
}

TEST_F(ControlSocketTest, AHolderOfTheLockIsWaitedForAndNamed) {
  StartLock lock = Lock();
  EXPECT_STATUS(JoinOrBindControl(dir_, "hello"), kUnavailable, "hello.lock");
}

TEST_F(ControlSocketTest, OnlyTheOwnFileIsUnlinked) {
  ControlSocket old_owner = Bind();
  std::filesystem::remove(old_owner.file.path);
  ControlSocket owner = Bind();
  EXPECT_OK(UnlinkControl(dir_, "hello", old_owner.file, Lock()));
  EXPECT_EQ(Answer(), ControlConnection::kConnected);
  EXPECT_OK(UnlinkControl(dir_, "hello", owner.file, Lock()));
  EXPECT_EQ(Answer(), ControlConnection::kAbsent);
  EXPECT_OK(UnlinkControl(dir_, "hello", owner.file, Lock()));
}

TEST_F(ControlSocketTest, WhoListensAgainIsWhoPeersSee) {
  ControlSocket owner = Bind();
  int to_child[2], to_us[2];
  ASSERT_EQ(pipe2(to_child, O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(to_us, O_CLOEXEC), 0);
  OwnedFd child_reads(to_child[0]), we_write(to_child[1]), we_read(to_us[0]),
      child_writes(to_us[1]);
  ASSERT_OK_AND_MOVE(ControlConnection queued, ConnectControl(dir_, "hello"));
  pid_t successor = fork();
  if (successor == 0) {
    char byte = ListenAgain(owner.fd.get()).ok() ? 'y' : 'n';
    we_write.Reset();
    _exit(write(child_writes.get(), &byte, 1) == 1 && read(child_reads.get(), &byte, 1) == 0 ? 0
                                                                                             : 1);
  }
  char byte = '?';
  EXPECT_EQ(read(we_read.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  EXPECT_EQ(PeerPid(ConnectControl(dir_, "hello")->fd.get()), successor);
  EXPECT_EQ(PeerPid(queued.fd.get()), getpid());
  OwnedFd accepted(accept4(owner.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(accepted.valid()) << "what was queued was lost";
  we_write.Reset();
  int status = 0;
  EXPECT_EQ(waitpid(successor, &status, 0), successor);
}

TEST_F(ControlSocketTest, ANameThatWouldLeaveTheDirectoryIsRefused) {
  EXPECT_STATUS(ConnectControl(dir_, "../x"), kInvalidArgument, "service name");
  EXPECT_STATUS(JoinOrBindControl(dir_, "../x"), kInvalidArgument, "service name");
}

TEST_F(ControlSocketTest, WhateverFailsLeavesNoFileAndNoDescriptor) {
  int n = 1;
  for (;; ++n) {
    FdAudit audit;
    FaultySyscalls faulty({.kind = Syscall::kAny, .nth = n, .error = ENOMEM});
    absl::StatusOr<ControlStart> start = JoinOrBindControl(dir_, "hello", kStartLockWait, faulty);
    if (!faulty.fired()) {
      EXPECT_OK(start);
      break;
    }
    EXPECT_STATUS(start, kResourceExhausted, "(ENOMEM)");
    if (n > 1) {
      EXPECT_THAT(Files(), ElementsAre("hello.lock"));
    }
  }
  EXPECT_EQ(n, 8);  // open lock, socket, connect, socket, bind, listen, rename
}

TEST_F(ControlSocketTest, OfTwoThatStartAtOnceExactlyOneBecomesFirst) {
  for (int round = 0; round < 200; ++round) {
    int gate[2], results[2];
    ASSERT_EQ(pipe2(gate, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(results, O_CLOEXEC), 0);
    OwnedFd gate_reader(gate[0]), gate_writer(gate[1]), reader(results[0]), writer(results[1]);
    pid_t contenders[2];
    for (pid_t& contender : contenders) {
      contender = fork();
      if (contender != 0) continue;
      gate_writer.Reset();
      pollfd opens = {gate_reader.get(), POLLIN, 0};
      poll(&opens, 1, -1);  // both wake at once
      absl::StatusOr<ControlStart> start = JoinOrBindControl(dir_, "hello");
      char result = !start.ok() ? 'E' : start->bound ? 'F' : 'J';
      if (write(writer.get(), &result, 1) != 1) _exit(1);
      _exit(pause());  // the first one is there to be found
    }
    gate_writer.Reset();
    std::string result(2, '?');
    EXPECT_EQ(read(reader.get(), &result[0], 1), 1);
    EXPECT_EQ(read(reader.get(), &result[1], 1), 1);
    for (pid_t contender : contenders) {
      kill(contender, SIGKILL);  // leaves a stale file to the next round
      waitpid(contender, nullptr, 0);
    }
    std::sort(result.begin(), result.end());
    ASSERT_EQ(result, "FJ") << "round " << round;
  }
}

}  // namespace
}  // namespace zdd
