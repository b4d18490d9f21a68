#include "zdd/net/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/forked_child.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address At(absl::string_view text) { return *Address::Parse(text); }

int Option(int fd, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(fd, level, option, &value, &size);
  return value;
}

// Where `fd` is bound.
Address NameOf(int fd, Transport transport) {
  sockaddr_storage name;
  socklen_t size = sizeof name;
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  return *Address::FromSockaddr(transport, reinterpret_cast<sockaddr*>(&name), size);
}

// A connected client. Invalid, with errno set, if it is refused.
OwnedFd ConnectTo(const Address& address) {
  OwnedFd client(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(client.get(), address.sockaddr(), address.size()) == 0) return client;
  const int error = errno;
  client.Reset();
  errno = error;
  return client;
}

// Whether a client that connects to `address` reaches `listener`.
bool Reaches(const Address& address, int listener) {
  OwnedFd client = ConnectTo(address);
  if (!client.valid()) return false;
  pollfd entry = {listener, POLLIN, 0};
  if (poll(&entry, 1, 2000) != 1) return false;
  return OwnedFd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)).valid();
}

class SocketTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir dir_;
};

TEST_F(SocketTest, ATcpListenerListensNonBlockingCloseOnExecWithReuseaddr) {
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("tcp://127.0.0.1:0")));
  const int fd = bound.fd.get();
  EXPECT_EQ(Option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
  EXPECT_EQ(Option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(Option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
  EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  EXPECT_FALSE(bound.file.has_value());
  EXPECT_TRUE(Reaches(NameOf(fd, Transport::kTcp), fd));
}

TEST_F(SocketTest, AUdpSocketIsBoundAndLetsNobodyTakeItsPort) {
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("udp://127.0.0.1:0")));
  EXPECT_EQ(Option(bound.fd.get(), SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
  EXPECT_EQ(Option(bound.fd.get(), SOL_SOCKET, SO_REUSEADDR), 0);
  EXPECT_STATUS(BindSocket(NameOf(bound.fd.get(), Transport::kUdp)), kAlreadyExists, "EADDRINUSE");
  EXPECT_STATUS(BindSocket(NameOf(bound.fd.get(), Transport::kUdp)), kAlreadyExists,
                "makes that again within 10 s: try again then)");
}

TEST_F(SocketTest, ATakenPortIsAlreadyExistsWithTheAddress) {
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("tcp://127.0.0.1:0")));
  const Address taken = NameOf(bound.fd.get(), Transport::kTcp);
  EXPECT_STATUS(BindSocket(taken), kAlreadyExists, taken.ToString());
}

TEST_F(SocketTest, AnIpOfNoInterfaceHereIsNotFound) {
  EXPECT_STATUS(BindSocket(At("tcp://192.0.2.1:0")), kNotFound, "no interface of this host");
}

TEST_F(SocketTest, ALinkLocalAddressWithoutItsInterfaceSaysWhatIsMissing) {
  EXPECT_STATUS(BindSocket(At("tcp://[fe80::1]:0")), kInvalidArgument, "needs its interface");
}

TEST_F(SocketTest, AnIpv6WildcardTakesIpv4ClientsUnlessToldNotTo) {
  ASSERT_OK_AND_MOVE(BoundSocket dual, BindSocket(At("tcp://[::]:0")));
  const int port = NameOf(dual.fd.get(), Transport::kTcp).port();
  EXPECT_TRUE(Reaches(At("tcp://127.0.0.1:1").WithPort(port), dual.fd.get()));
  EXPECT_TRUE(Reaches(At("tcp://[::1]:1").WithPort(port), dual.fd.get()));

  SocketOptions options;
  options.dual_stack = false;
  ASSERT_OK_AND_MOVE(BoundSocket v6, BindSocket(At("tcp://[::]:0"), options));
  const int v6_port = NameOf(v6.fd.get(), Transport::kTcp).port();
  EXPECT_FALSE(Reaches(At("tcp://127.0.0.1:1").WithPort(v6_port), v6.fd.get()));
  EXPECT_TRUE(Reaches(At("tcp://[::1]:1").WithPort(v6_port), v6.fd.get()));
}

TEST_F(SocketTest, WithReusePortASecondSocketJoins) {
  SocketOptions options;
  options.reuse_port = true;
  ASSERT_OK_AND_MOVE(BoundSocket first, BindSocket(At("tcp://127.0.0.1:0"), options));
  EXPECT_OK(BindSocket(NameOf(first.fd.get(), Transport::kTcp), options));
}

TEST_F(SocketTest, ADeviceRestrictsTheSocketAndAnUnknownOneIsNotFound) {
  SocketOptions options;
  options.device = "lo";
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("tcp://0.0.0.0:0"), options));
  char name[16] = "";
  socklen_t size = sizeof name;
  getsockopt(bound.fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name, &size);
  EXPECT_STREQ(name, "lo");
  options.device = "nosuch0";
  EXPECT_STATUS(BindSocket(At("tcp://0.0.0.0:0"), options), kNotFound, "SO_BINDTODEVICE nosuch0");
}

TEST_F(SocketTest, TheHookSeesTheSocketBeforeItIsBound) {
  SocketOptions options;
  int seen_port = -1;
  options.hook = [&](int fd) {
    seen_port = NameOf(fd, Transport::kTcp).port();
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return absl::OkStatus();
  };
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("tcp://127.0.0.1:0"), options));
  EXPECT_EQ(seen_port, 0);
  EXPECT_EQ(Option(bound.fd.get(), SOL_SOCKET, SO_KEEPALIVE), 1);
}

TEST_F(SocketTest, AHookThatFailsFailsTheBindAndLeavesNoFile) {
  SocketOptions options;
  options.hook = [](int) { return absl::FailedPreconditionError("no such cipher"); };
  EXPECT_STATUS(BindSocket(At("unix://" + dir_.File("x")), options), kFailedPrecondition,
                "socket hook: no such cipher");
  EXPECT_THAT(dir_.List(), IsEmpty());
}

TEST_F(SocketTest, OptionsThatCannotApplyAreNamed) {
  const auto check = [](absl::string_view address, auto set) {
    SocketOptions options;
    set(options);
    return CheckOptions(At(address), options);
  };
  EXPECT_STATUS(check("tcp://[::]:0", [](auto& o) { o.backlog = 0; }), kInvalidArgument,
                "backlog 0, at least 1");
  EXPECT_STATUS(check("tcp://[::]:0", [](auto& o) { o.device = "a-name-too-long-"; }),
                kInvalidArgument, "16 bytes, at most 15");
  EXPECT_STATUS(check("tcp://[::]:0", [](auto& o) { o.unix_mode = 0600; }), kInvalidArgument,
                "unix_mode is for a Unix socket");
  EXPECT_STATUS(check("unix:@x", [](auto& o) { o.unix_mode = 0600; }), kInvalidArgument,
                "with a path");
  EXPECT_STATUS(check("unix:x", [](auto& o) { o.unix_mode = 0100600; }), kInvalidArgument,
                "permission bits");
  EXPECT_STATUS(check("unix:x", [](auto& o) { o.device = "lo"; }), kInvalidArgument, "no device");
  EXPECT_STATUS(check("unix:x", [](auto& o) { o.reuse_port = true; }), kInvalidArgument,
                "no SO_REUSEPORT");
  EXPECT_STATUS(CheckOptions(Address(), {}), kInvalidArgument, "no name to bind");
}

TEST_F(SocketTest, DescriptorsNeverTakeTheNumbersOfStandardStreams) {
  ForkedChild child([] {
    close(0);
    close(1);
    absl::StatusOr<BoundSocket> bound = BindSocket(At("tcp://127.0.0.1:0"));
    if (!bound.ok() || bound->fd.get() < 3) return 1;
    return fcntl(0, F_GETFD) == -1 && fcntl(1, F_GETFD) == -1 ? 0 : 2;
  });
  EXPECT_EQ(child.Wait(), 0);
}

// Unix sockets.

TEST_F(SocketTest, AUnixListenerIsReachedAtItsPath) {
  const Address address = At("unix://" + dir_.File("x.sock"));
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(address));
  EXPECT_TRUE(Reaches(address, bound.fd.get()));
  EXPECT_EQ(NameOf(bound.fd.get(), Transport::kUnix), address);
  ASSERT_TRUE(bound.file.has_value());
  EXPECT_EQ(bound.file->path, dir_.File("x.sock"));
  EXPECT_TRUE(StillThere(*bound.file));
  EXPECT_THAT(dir_.List(), ElementsAre("x.sock"));
}

TEST_F(SocketTest, ARelativePathIsThatOfTheWorkingDirectory) {
  ForkedChild child([&] {
    if (chdir(dir_.path().c_str()) != 0) return 1;
    absl::StatusOr<BoundSocket> bound = BindSocket(At("unix:x.sock"));
    return bound.ok() && Reaches(At("unix:x.sock"), bound->fd.get()) ? 0 : 2;
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_THAT(dir_.List(), ElementsAre("x.sock"));
}

TEST_F(SocketTest, AnAbstractNameLeavesNoFileAndIsTakenOnce) {
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("unix:@zdd-socket-test")));
  EXPECT_FALSE(bound.file.has_value());
  EXPECT_TRUE(Reaches(At("unix:@zdd-socket-test"), bound.fd.get()));
  EXPECT_STATUS(BindSocket(At("unix:@zdd-socket-test")), kAlreadyExists, "EADDRINUSE");
}

TEST_F(SocketTest, TheFilesModeIsTheOneAskedWhateverTheUmask) {
  const mode_t old = umask(077);
  SocketOptions options;
  options.unix_mode = 0662;
  absl::StatusOr<BoundSocket> bound = BindSocket(At("unix://" + dir_.File("x")), options);
  umask(old);
  ASSERT_OK(bound);
  struct stat facts;
  ASSERT_EQ(lstat(dir_.File("x").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0662u);
}

TEST_F(SocketTest, AStaleFileIsReplaced) {
  const Address address = At("unix://" + dir_.File("x"));
  { ASSERT_OK(BindSocket(address)); }  // closed, its file remains
  ASSERT_THAT(dir_.List(), ElementsAre("x"));
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(address));
  EXPECT_TRUE(Reaches(address, bound.fd.get()));
}

TEST_F(SocketTest, ALivingListenerIsLeftAloneEvenWithAFullQueue) {
  const Address address = At("unix://" + dir_.File("x"));
  SocketOptions options;
  options.backlog = 1;
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(address, options));
  EXPECT_STATUS(BindSocket(address), kAlreadyExists, "somebody listens there already");
  std::vector<OwnedFd> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(waiting.back().get(), address.sockaddr(), address.size()) != 0) break;
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_STATUS(BindSocket(address), kAlreadyExists, "somebody listens there already");
  EXPECT_TRUE(StillThere(*bound.file));
}

TEST_F(SocketTest, ALivingDatagramSocketIsLeftAlone) {
  const Address address = At("unix://" + dir_.File("x"));
  OwnedFd datagram(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(datagram.get(), address.sockaddr(), address.size()), 0);
  EXPECT_STATUS(BindSocket(address), kAlreadyExists, "somebody listens there already");
}

TEST_F(SocketTest, WhatIsNoSocketIsNeverRemoved) {
  OwnedFd file(open(dir_.File("file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  ASSERT_EQ(symlink("/nowhere", dir_.File("link").c_str()), 0);
  ASSERT_EQ(mkdir(dir_.File("directory").c_str(), 0700), 0);
  for (const char* name : {"file", "link", "directory"}) {
    EXPECT_STATUS(BindSocket(At("unix://" + dir_.File(name))), kFailedPrecondition,
                  "no socket; remove it or choose another path");
  }
  EXPECT_THAT(dir_.List(), ElementsAre("directory", "file", "link"));
}

TEST_F(SocketTest, AMissingDirectoryIsNamedWithItsCure) {
  EXPECT_STATUS(
      BindSocket(At("unix://" + dir_.File("no/no/x"))), kNotFound,
      "(ENOENT); directory " + dir_.File("no") + " is missing: mkdir -p " + dir_.File("no/no"));
}

TEST_F(SocketTest, AFileInPlaceOfTheDirectoryIsNamed) {
  OwnedFd file(open(dir_.File("file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_STATUS(BindSocket(At("unix://" + dir_.File("file/x"))), kFailedPrecondition,
                "(ENOTDIR); " + dir_.File("file") + " is no directory");
}

TEST_F(SocketTest, ADirectoryThatIsClosedToUsIsNamed) {
  FaultySyscalls faulty({.kind = Syscall::kBind, .error = EACCES});
  EXPECT_STATUS(
      BindSocket(At("unix://" + dir_.File("x")), {}, faulty), kPermissionDenied,
      absl::StrCat("(EACCES); uid ", geteuid(), " may not write to directory ", dir_.path()));
}

TEST_F(SocketTest, OfManyThatStartAtOnceOnAStaleFileExactlyOneWins) {
  const Address address = At("unix://" + dir_.File("x"));
  for (int round = 0; round < 30; ++round) {
    unlink(dir_.File("x").c_str());
    if (round % 2 == 0) {
      ASSERT_OK(BindSocket(address));  // leaves a stale file behind
    }
    int start[2];
    int done[2];
    ASSERT_EQ(pipe2(start, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(done, O_CLOEXEC), 0);
    OwnedFd start_reader(start[0]), start_writer(start[1]);
    OwnedFd done_reader(done[0]), done_writer(done[1]);
    const auto race = [&] {
      start_writer.Reset();
      char byte;
      (void)!read(start_reader.get(), &byte, 1);
      absl::StatusOr<BoundSocket> bound = BindSocket(address);
      byte = bound.ok() ? 'w' : absl::IsAlreadyExists(bound.status()) ? 'l' : '?';
      (void)!write(done_writer.get(), &byte, 1);
      return pause();  // the winner keeps its socket until all have decided
    };
    ForkedChild a(race), b(race), c(race), d(race);
    start_writer.Reset();
    done_writer.Reset();
    std::string outcome;
    char byte;
    while (outcome.size() < 4 && read(done_reader.get(), &byte, 1) == 1) outcome.push_back(byte);
    std::sort(outcome.begin(), outcome.end());
    ASSERT_EQ(outcome, "lllw") << "round " << round;
  }
}

TEST_F(SocketTest, AStrangersLockOnTheDirectoryOnlyDelays) {
  OwnedFd directory(open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(directory.get(), LOCK_EX), 0);
  EXPECT_FALSE(SocketDirectoryLock(dir_.File("x")).held());
  EXPECT_OK(BindSocket(At("unix://" + dir_.File("x"))));
}

TEST_F(SocketTest, ALockLeavesNoFileAndEndsWithItsScope) {
  {
    SocketDirectoryLock lock(dir_.File("x"));
    EXPECT_TRUE(lock.held());
  }
  EXPECT_TRUE(SocketDirectoryLock(dir_.File("y")).held());
  EXPECT_THAT(dir_.List(), IsEmpty());
  EXPECT_FALSE(SocketDirectoryLock(dir_.File("no/x")).held());
  EXPECT_TRUE(SocketDirectoryLock("x").held());
}

TEST_F(SocketTest, OnlyTheOwnFileIsRemoved) {
  const Address address = At("unix://" + dir_.File("x"));
  ASSERT_OK_AND_MOVE(BoundSocket mine, BindSocket(address));
  unlink(dir_.File("x").c_str());
  EXPECT_FALSE(StillThere(*mine.file));
  EXPECT_OK(UnlinkOwn(*mine.file));  // it is gone: nothing to do

  ASSERT_OK_AND_MOVE(BoundSocket successors, BindSocket(address));
  EXPECT_OK(UnlinkOwn(*mine.file));
  EXPECT_TRUE(StillThere(*successors.file));
  EXPECT_OK(UnlinkOwn(*successors.file));
  EXPECT_THAT(dir_.List(), IsEmpty());
}

TEST_F(SocketTest, AnInheritedFileIsFoundAgainByItsPath) {
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("unix://" + dir_.File("x"))));
  ASSERT_OK_AND_MOVE(SocketFile found, FindSocketFile(dir_.File("x")));
  EXPECT_EQ(found.inode, bound.file->inode);
  EXPECT_EQ(found.device, bound.file->device);
  EXPECT_STATUS(FindSocketFile(dir_.File("y")), kNotFound, "ENOENT");
  EXPECT_STATUS(FindSocketFile(dir_.path()), kFailedPrecondition, "no socket");
}

// Looking after a listener.

TEST_F(SocketTest, TheQueueLengthOfATcpListenerCountsWhoWaits) {
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("tcp://127.0.0.1:0")));
  const Address address = NameOf(bound.fd.get(), Transport::kTcp);
  EXPECT_EQ(AcceptQueueLength(bound.fd.get()), 0);
  OwnedFd first = ConnectTo(address);
  OwnedFd second = ConnectTo(address);
  EXPECT_EQ(AcceptQueueLength(bound.fd.get()), 2);
  OwnedFd accepted(accept4(bound.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(AcceptQueueLength(bound.fd.get()), 1);
  EXPECT_EQ(AcceptQueueLength(accepted.get()), absl::nullopt);
}

TEST_F(SocketTest, TheKernelTellsNoQueueLengthOfOtherSockets) {
  ASSERT_OK_AND_MOVE(BoundSocket unix_socket, BindSocket(At("unix:@zdd-socket-test")));
  ASSERT_OK_AND_MOVE(BoundSocket udp, BindSocket(At("udp://127.0.0.1:0")));
  EXPECT_EQ(AcceptQueueLength(unix_socket.fd.get()), absl::nullopt);
  EXPECT_EQ(AcceptQueueLength(udp.fd.get()), absl::nullopt);
  EXPECT_EQ(AcceptQueueLength(-1), absl::nullopt);
}

TEST_F(SocketTest, AListenerThatListensNeedsNoRevival) {
  for (const char* text : {"tcp://127.0.0.1:0", "unix:@zdd-socket-test", "udp://127.0.0.1:0"}) {
    ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At(text)));
    const Address address = NameOf(bound.fd.get(), At(text).transport());
    ASSERT_OK_AND_MOVE(Revival revival, Revive(bound.fd.get(), address, 10));
    EXPECT_EQ(revival, Revival::kAlive) << text;
  }
}

TEST_F(SocketTest, AShutDownTcpListenerListensAgainOnItsPort) {
  for (const char* ip : {"tcp://127.0.0.1:0", "tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://[::1]:0"}) {
    ASSERT_OK_AND_MOVE(BoundSocket chosen, BindSocket(At(ip)));
    const Address address = NameOf(chosen.fd.get(), Transport::kTcp);
    const Address loopback = At(address.family() == AF_INET ? "tcp://127.0.0.1:0" : "tcp://[::1]:0")
                                 .WithPort(address.port());
    // With an accepted connection, as in a server that runs.
    OwnedFd client = ConnectTo(loopback);
    OwnedFd accepted(accept4(chosen.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(accepted.valid());

    ASSERT_EQ(shutdown(chosen.fd.get(), SHUT_RDWR), 0);
    EXPECT_FALSE(ConnectTo(loopback).valid());
    ASSERT_OK_AND_MOVE(Revival revival, Revive(chosen.fd.get(), address, 10));
    EXPECT_EQ(revival, Revival::kRevived);
    EXPECT_EQ(NameOf(chosen.fd.get(), Transport::kTcp), address);
    EXPECT_TRUE(Reaches(loopback, chosen.fd.get())) << ip;
  }
}

TEST_F(SocketTest, AShutDownListenerBoundToANumberListensAgain) {
  // A number that was free just now.
  Address address;
  {
    ASSERT_OK_AND_MOVE(BoundSocket free, BindSocket(At("tcp://127.0.0.1:0")));
    address = NameOf(free.fd.get(), Transport::kTcp);
  }
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(address));
  ASSERT_EQ(shutdown(bound.fd.get(), SHUT_RD), 0);
  ASSERT_OK_AND_MOVE(Revival revival, Revive(bound.fd.get(), address, 10));
  EXPECT_EQ(revival, Revival::kRevived);
  EXPECT_TRUE(Reaches(address, bound.fd.get()));
}

TEST_F(SocketTest, APortThatSomebodyTookMeanwhileCannotBeRevived) {
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(At("tcp://127.0.0.1:0")));
  const Address address = NameOf(bound.fd.get(), Transport::kTcp);
  ASSERT_EQ(shutdown(bound.fd.get(), SHUT_RD), 0);
  ASSERT_OK_AND_MOVE(BoundSocket thief, BindSocket(address));
  EXPECT_STATUS(Revive(bound.fd.get(), address, 10), kAlreadyExists, "revive listener: bind tcp");
}

TEST_F(SocketTest, AShutDownUnixListenerIsDeadAndCanBeBoundAnew) {
  const Address address = At("unix://" + dir_.File("x"));
  ASSERT_OK_AND_MOVE(BoundSocket bound, BindSocket(address));
  EXPECT_FALSE(UnixListenerShutDown(bound.fd.get()));
  ASSERT_EQ(shutdown(bound.fd.get(), SHUT_RD), 0);
  EXPECT_TRUE(UnixListenerShutDown(bound.fd.get()));
  ASSERT_OK_AND_MOVE(Revival revival, Revive(bound.fd.get(), address, 10));
  EXPECT_EQ(revival, Revival::kDead);
  ASSERT_OK_AND_MOVE(BoundSocket anew, BindSocket(address));
  EXPECT_TRUE(Reaches(address, anew.fd.get()));
}

// Faults of the kernel, one after the other.

TEST_F(SocketTest, EachFailureOfABindLeavesNothingOpenAndNoFile) {
  SocketOptions options;
  options.device = "lo";
  options.reuse_port = true;
  SocketOptions unix_options;
  unix_options.unix_mode = 0600;
  const std::string path = "unix://" + dir_.File("x");
  for (const std::string& text : {std::string("tcp://[::1]:0"), std::string("udp://127.0.0.1:0"),
                                  std::string("unix:@zdd-socket-test"), path}) {
    const bool unix_domain = At(text).transport() == Transport::kUnix;
    const SocketOptions& used =
        unix_domain ? (text == path ? unix_options : SocketOptions()) : options;
    for (int n = 1;; ++n) {
      const std::vector<std::string> files = dir_.List();
      const size_t open_fds = OpenFds().size();
      FaultySyscalls faulty({.nth = n, .error = ENOMEM});
      absl::StatusOr<BoundSocket> bound = BindSocket(At(text), used, faulty);
      if (!faulty.fired()) {
        EXPECT_OK(bound);
        EXPECT_GT(n, 3);
        break;
      }
      // A lock that is not to be had is no failure.
      if (bound.ok()) {
        EXPECT_EQ(text, path);
        EXPECT_OK(UnlinkOwn(*bound->file));
        continue;
      }
      EXPECT_STATUS(bound, kResourceExhausted, "ENOMEM");
      EXPECT_EQ(dir_.List(), files);
      EXPECT_EQ(OpenFds().size(), open_fds);
    }
  }
}

TEST_F(SocketTest, AProbeThatTellsNothingLeavesTheFileAlone) {
  const Address address = At("unix://" + dir_.File("x"));
  { ASSERT_OK(BindSocket(address)); }
  for (int error : {EACCES, ENOMEM, EINTR}) {
    FaultySyscalls faulty({.kind = Syscall::kConnect, .nth = 1, .error = error});
    absl::Status status = BindSocket(address, {}, faulty).status();
    EXPECT_EQ(status.code(), ErrnoStatus(error, "").code()) << status;
    EXPECT_THAT(dir_.List(), ElementsAre("x"));
  }
}

}  // namespace
}  // namespace zdd
