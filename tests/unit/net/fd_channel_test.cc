#include "zdd/net/fd_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/forked_child.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

using ::testing::HasSubstr;

constexpr absl::StatusCode kOk = absl::StatusCode::kOk;

// Whether poll() sees any of `events` on `fd` within five seconds.
bool WaitFor(int fd, short events) {
  pollfd entry = {fd, events, 0};
  return poll(&entry, 1, 5000) == 1 && (entry.revents & events) != 0;
}

uint64_t InodeOf(int fd) {
  struct stat facts {};
  fstat(fd, &facts);
  return facts.st_ino;
}

// Sends one datagram by hand: what FdChannel itself would refuse to send.
ssize_t SendRaw(int fd, absl::string_view bytes, const std::vector<int>& fds) {
  iovec vector = {const_cast<char*>(bytes.data()), bytes.size()};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::copy(fds.begin(), fds.end(), reinterpret_cast<int*>(CMSG_DATA(header)));
  }
  return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

class FdChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_MOVE(FdChannel::Ends ends, FdChannel::Pair());
    ours_.emplace(std::move(ends.ours));
    theirs_.emplace(std::move(ends.theirs));
  }

  FdAudit audit_;
  absl::optional<FdChannel> ours_;
  absl::optional<FdChannel> theirs_;
};

TEST_F(FdChannelTest, AFrameArrivesWithItsBytesDescriptorsAndSender) {
  OwnedFd sent(eventfd(7, EFD_CLOEXEC));
  ASSERT_EQ(ours_->Send("hello", {sent.get()}).kind, SendResult::kSent);

  Received received = theirs_->Receive();
  ASSERT_EQ(received.kind, Received::kFrame) << received.status;
  EXPECT_EQ(received.bytes, "hello");
  ASSERT_EQ(received.fds.size(), 1u);
  eventfd_t value = 0;
  EXPECT_EQ(eventfd_read(received.fds[0].get(), &value), 0);
  EXPECT_EQ(value, 7u);
  EXPECT_TRUE(fcntl(received.fds[0].get(), F_GETFD) & FD_CLOEXEC);
  ASSERT_TRUE(received.credentials.has_value());
  EXPECT_EQ(received.credentials->pid, getpid());
  EXPECT_EQ(received.credentials->uid, getuid());
  EXPECT_EQ(received.credentials->gid, getgid());
}

TEST_F(FdChannelTest, FramesKeepTheirBoundariesAndTheirOrder) {
  for (const char* frame : {"a", "bb", "ccc"}) {
    ASSERT_EQ(ours_->Send(frame).kind, SendResult::kSent);
  }
  for (const char* frame : {"a", "bb", "ccc"}) EXPECT_EQ(theirs_->Receive().bytes, frame);
  EXPECT_EQ(theirs_->Receive().kind, Received::kWouldBlock);
}

TEST_F(FdChannelTest, BytesThatAreNoTextArriveUnchanged) {
  const std::string bytes("\0\xff\n\0\x80", 5);
  ASSERT_EQ(ours_->Send(bytes).kind, SendResult::kSent);
  EXPECT_EQ(theirs_->Receive().bytes, bytes);
}

TEST_F(FdChannelTest, TheLargestFrameArrivesWholeAndInOrder) {
  const std::string bytes(kFrameBytesMax, 'x');
  OwnedFd first(eventfd(0, EFD_CLOEXEC));
  OwnedFd second(open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::vector<int> fds(kFrameFdsMax, first.get());
  fds[1] = second.get();
  ASSERT_EQ(ours_->Send(bytes, fds).kind, SendResult::kSent);

  Received received = theirs_->Receive();
  ASSERT_EQ(received.kind, Received::kFrame) << received.status;
  EXPECT_EQ(received.bytes, bytes);
  ASSERT_EQ(received.fds.size(), kFrameFdsMax);
  EXPECT_EQ(InodeOf(received.fds[1].get()), InodeOf(second.get()));
  EXPECT_NE(InodeOf(received.fds[0].get()), InodeOf(second.get()));
}

TEST_F(FdChannelTest, AFrameOneByteTooLargeIsNotSent) {
  SendResult result = ours_->Send(std::string(kFrameBytesMax + 1, 'x'));
  EXPECT_EQ(result.kind, SendResult::kFailed);
  EXPECT_STATUS(result.status, kInvalidArgument, "49153 bytes, at most 49152");
  EXPECT_EQ(theirs_->Receive().kind, Received::kWouldBlock);
}

TEST_F(FdChannelTest, AFrameWithOneDescriptorTooManyIsNotSent) {
  SendResult result = ours_->Send("x", std::vector<int>(kFrameFdsMax + 1, 0));
  EXPECT_EQ(result.kind, SendResult::kFailed);
  EXPECT_STATUS(result.status, kInvalidArgument, "253, at most 252");
}

TEST_F(FdChannelTest, AnEmptyFrameIsNotSent) {
  EXPECT_EQ(ours_->Send("").kind, SendResult::kFailed);
}

TEST_F(FdChannelTest, AClosedDescriptorFailsItsFrameAndNotTheChannel) {
  EXPECT_EQ(ours_->Send("x", {9999}).kind, SendResult::kFailed);
  EXPECT_EQ(ours_->Send("y").kind, SendResult::kSent);
  EXPECT_EQ(theirs_->Receive().bytes, "y");
}

TEST_F(FdChannelTest, AFullQueueWouldBlockAndLosesNothing) {
  int sent = 0;
  SendResult result;
  while ((result = ours_->Send(std::string(kFrameBytesMax, 'x'))).kind == SendResult::kSent) ++sent;
  EXPECT_EQ(result.kind, SendResult::kWouldBlock);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_GE(sent, 3);
  for (int i = 0; i < sent; ++i) EXPECT_EQ(theirs_->Receive().kind, Received::kFrame);
  EXPECT_EQ(theirs_->Receive().kind, Received::kWouldBlock);
  EXPECT_TRUE(WaitFor(ours_->fd(), POLLOUT));
  EXPECT_EQ(ours_->Send("x").kind, SendResult::kSent);
}

TEST_F(FdChannelTest, DescriptorsInAQueueThatNobodyReadsAreClosedWithIt) {
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  OwnedFd reader(pipe_ends[0]);
  OwnedFd writer(pipe_ends[1]);
  ASSERT_EQ(ours_->Send("x", {writer.get()}).kind, SendResult::kSent);
  writer.Reset();
  theirs_.reset();
  EXPECT_TRUE(WaitFor(reader.get(), POLLHUP));
}

TEST_F(FdChannelTest, APeerThatIsGoneIsToldFromAFullQueue) {
  theirs_.reset();
  SendResult result = ours_->Send("x");
  EXPECT_EQ(result.kind, SendResult::kPeerGone);
  EXPECT_FALSE(result.status.ok());
}

TEST_F(FdChannelTest, EndOfFileComesAfterTheLastFrameAndStays) {
  ASSERT_EQ(theirs_->Send("last words").kind, SendResult::kSent);
  theirs_.reset();
  EXPECT_EQ(ours_->Receive().bytes, "last words");
  EXPECT_EQ(ours_->Receive().kind, Received::kEndOfFile);
  EXPECT_EQ(ours_->Receive().kind, Received::kEndOfFile);
}

TEST_F(FdChannelTest, FramesQueuedBehindAConnectionResetAreDelivered) {
  // The peer closes with a frame of ours unread: our first recv is ECONNRESET, and only behind it
  // come the peer's own last frames.
  ASSERT_EQ(ours_->Send("never read").kind, SendResult::kSent);
  ASSERT_EQ(theirs_->Send("accept").kind, SendResult::kSent);
  ASSERT_EQ(theirs_->Send("abort").kind, SendResult::kSent);
  theirs_.reset();
  EXPECT_EQ(ours_->Receive().bytes, "accept");
  EXPECT_EQ(ours_->Receive().bytes, "abort");
  EXPECT_EQ(ours_->Receive().kind, Received::kEndOfFile);
}

TEST_F(FdChannelTest, ASendThatMeetsTheResetLeavesThePeersFramesReadable) {
  ASSERT_EQ(ours_->Send("never read").kind, SendResult::kSent);
  ASSERT_EQ(theirs_->Send("abort").kind, SendResult::kSent);
  theirs_.reset();
  EXPECT_EQ(ours_->Send("anybody there?").kind, SendResult::kPeerGone);
  EXPECT_EQ(ours_->Receive().bytes, "abort");
  EXPECT_EQ(ours_->Receive().kind, Received::kEndOfFile);
}

TEST_F(FdChannelTest, AnEmptyDatagramIsBrokenAndNotTheEnd) {
  ASSERT_EQ(SendRaw(ours_->fd(), "", {}), 0);
  ASSERT_EQ(ours_->Send("still here").kind, SendResult::kSent);
  Received received = theirs_->Receive();
  EXPECT_EQ(received.kind, Received::kBroken);
  EXPECT_STATUS(received.status, kDataLoss, "empty datagram");
  EXPECT_EQ(theirs_->Receive().bytes, "still here");
}

TEST_F(FdChannelTest, AnEmptyDatagramBeforeAHangUpHidesNoFrame) {
  ASSERT_EQ(SendRaw(ours_->fd(), "", {}), 0);
  ASSERT_EQ(ours_->Send("last words").kind, SendResult::kSent);
  ours_.reset();
  EXPECT_EQ(theirs_->Receive().kind, Received::kBroken);
  EXPECT_EQ(theirs_->Receive().bytes, "last words");
  EXPECT_EQ(theirs_->Receive().kind, Received::kEndOfFile);
}

TEST_F(FdChannelTest, DescriptorsOfAnEmptyDatagramAreClosed) {
  ASSERT_EQ(SendRaw(ours_->fd(), "", {0, 1}), 0);
  EXPECT_EQ(theirs_->Receive().kind, Received::kBroken);
}

TEST_F(FdChannelTest, AnOversizedDatagramIsBrokenAndItsDescriptorsAreClosed) {
  const std::string bytes(kFrameBytesMax + 1000, 'x');
  ASSERT_EQ(SendRaw(ours_->fd(), bytes, {0, 1, 2}), static_cast<ssize_t>(bytes.size()));
  Received received = theirs_->Receive();
  EXPECT_EQ(received.kind, Received::kBroken);
  EXPECT_STATUS(received.status, kDataLoss, "50152 bytes, at most 49152");
  EXPECT_TRUE(received.fds.empty());
}

TEST_F(FdChannelTest, MoreDescriptorsThanAFrameMayHaveAreAllClosed) {
  ASSERT_EQ(SendRaw(ours_->fd(), "x", std::vector<int>(253, 0)), 1);
  Received received = theirs_->Receive();
  EXPECT_EQ(received.kind, Received::kBroken);
  EXPECT_STATUS(received.status, kDataLoss, "253, at most 252");
  EXPECT_TRUE(received.fds.empty());
}

TEST_F(FdChannelTest, ControlDataThatNobodyAskedForIsBrokenAndItsDescriptorClosed) {
  // SO_PASSPIDFD (Linux 6.5) adds a pidfd of the sender to each datagram.
  const int on = 1;
  if (setsockopt(theirs_->fd(), SOL_SOCKET, 76, &on, sizeof on) != 0) GTEST_SKIP();
  ASSERT_EQ(ours_->Send("x", {0}).kind, SendResult::kSent);
  Received received = theirs_->Receive();
  EXPECT_EQ(received.kind, Received::kBroken);
  EXPECT_STATUS(received.status, kDataLoss, "unknown control data (1 messages)");
}

TEST_F(FdChannelTest, TheKernelRefusesMoreThan253) {
  EXPECT_EQ(SendRaw(ours_->fd(), "x", std::vector<int>(254, 0)), -1);
  EXPECT_EQ(errno, EINVAL);
}

// Runs in a child, whose limit leaves room for `room` more descriptors.
int ReceiveWithRoomFor(FdChannel& channel, int room) {
  // The lowest free number, so that exactly `room` numbers from there on are below the limit.
  OwnedFd lowest(fcntl(0, F_DUPFD, 3));
  const rlim_t limit = lowest.get() + room;
  lowest.Reset();
  rlimit nofile = {limit, limit};
  setrlimit(RLIMIT_NOFILE, &nofile);
  size_t before = OpenFds().size();
  Received received = channel.Receive();
  rlimit raised = {limit, limit};
  setrlimit(RLIMIT_NOFILE, &raised);
  if (received.kind != Received::kBroken) return 1;
  if (received.status.code() != absl::StatusCode::kResourceExhausted) return 2;
  if (!received.fds.empty()) return 3;
  if (OpenFds().size() != before) return 4;
  return channel.Receive().bytes == "next" ? 0 : 5;
}

TEST_F(FdChannelTest, AProcessOutOfDescriptorsClosesThoseThatCameAndReadsOn) {
  for (int room : {1, 2, 9}) {
    ASSERT_EQ(ours_->Send("x", std::vector<int>(10, 0)).kind, SendResult::kSent);
    ASSERT_EQ(ours_->Send("next").kind, SendResult::kSent);
    ForkedChild child([&] { return ReceiveWithRoomFor(*theirs_, room); });
    EXPECT_EQ(child.Wait(), 0) << "room for " << room;
  }
}

TEST_F(FdChannelTest, DescriptorsNeverTakeTheNumbersOfStandardStreams) {
  ASSERT_EQ(ours_->Send("x", {0, 1}).kind, SendResult::kSent);
  ForkedChild child([&] {
    close(0);
    close(2);
    Received received = theirs_->Receive();
    if (received.kind != Received::kFrame || received.fds.size() != 2) return 1;
    for (const OwnedFd& fd : received.fds) {
      if (fd.get() < 3 || !(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC)) return 2;
    }
    return fcntl(0, F_GETFD) == -1 && fcntl(2, F_GETFD) == -1 ? 0 : 3;
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(FdChannelTest, AForkedChildHoldsBackTheEndOfFileButNotTheDeath) {
  int gate[2];
  ASSERT_EQ(pipe2(gate, O_CLOEXEC), 0);
  OwnedFd gate_reader(gate[0]);
  OwnedFd gate_writer(gate[1]);
  // The peer forks, says hello, and waits to be killed; its child keeps the channel open until the
  // gate closes.
  ForkedChild peer([&] {
    ours_.reset();
    if (fork() == 0) {
      gate_writer.Reset();
      char byte;
      _exit(read(gate_reader.get(), &byte, 1) == 0 ? 0 : 1);
    }
    if (theirs_->Send("hello").kind != SendResult::kSent) return 1;
    return pause();
  });
  theirs_.reset();
  ASSERT_TRUE(WaitFor(ours_->fd(), POLLIN));
  Received hello = ours_->Receive();
  ASSERT_TRUE(hello.credentials.has_value());
  EXPECT_EQ(hello.credentials->pid, peer.pid());
  OwnedFd pidfd(Syscalls::Real().PidfdOpen(hello.credentials->pid, 0));

  peer.Signal(SIGKILL);
  EXPECT_TRUE(WaitFor(pidfd.get(), POLLIN));
  EXPECT_EQ(ours_->Receive().kind, Received::kWouldBlock);
  gate_writer.Reset();
  EXPECT_TRUE(WaitFor(ours_->fd(), POLLHUP));
  EXPECT_EQ(ours_->Receive().kind, Received::kEndOfFile);
}

TEST_F(FdChannelTest, TheMakerOfAPairIsItsOwnPeer) {
  ASSERT_OK_AND_MOVE(Credentials peer, ours_->PeerCredentials());
  EXPECT_EQ(peer.pid, getpid());
  EXPECT_EQ(peer.uid, getuid());
}

TEST_F(FdChannelTest, ChannelsMove) {
  FdChannel moved = *std::move(ours_);
  ours_.reset();
  EXPECT_EQ(moved.Send("x").kind, SendResult::kSent);
  EXPECT_EQ(theirs_->Receive().bytes, "x");
}

// A connection through a listening socket, as between two processes that are not parent and child.
class FdChannelConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    listener_ = OwnedFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    // By sa_family alone the kernel chooses a free abstract name.
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
    ASSERT_EQ(listen(listener_.get(), 5), 0);
  }

  OwnedFd Connect() {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    OwnedFd client(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (connect(client.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) client.Reset();
    return client;
  }

  OwnedFd Accept() { return OwnedFd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  FdAudit audit_;
  OwnedFd listener_;
};

TEST_F(FdChannelConnectionTest, AFrameSentBeforeTheAcceptHasItsSender) {
  ForkedChild client([&] {
    absl::StatusOr<FdChannel> channel = FdChannel::Adopt(Connect());
    if (!channel.ok() || channel->Send("hello").kind != SendResult::kSent) return 1;
    return pause();
  });
  ASSERT_TRUE(WaitFor(listener_.get(), POLLIN));
  ASSERT_OK_AND_MOVE(FdChannel channel, FdChannel::Adopt(Accept()));
  ASSERT_TRUE(WaitFor(channel.fd(), POLLIN));
  Received hello = channel.Receive();
  ASSERT_EQ(hello.kind, Received::kFrame);
  ASSERT_TRUE(hello.credentials.has_value());
  EXPECT_EQ(hello.credentials->pid, client.pid());
}

TEST_F(FdChannelConnectionTest, ThePidfdOfTheConnectedPeerFiresAtItsDeath) {
  ForkedChild client([&] {
    OwnedFd connected = Connect();
    return pause();
  });
  ASSERT_TRUE(WaitFor(listener_.get(), POLLIN));
  ASSERT_OK_AND_MOVE(FdChannel channel, FdChannel::Adopt(Accept()));
  ASSERT_OK_AND_MOVE(Credentials peer, channel.PeerCredentials());
  EXPECT_EQ(peer.pid, client.pid());
  OwnedFd pidfd = channel.PeerPidfd();
  ASSERT_TRUE(pidfd.valid());
  EXPECT_GE(pidfd.get(), 3);
  EXPECT_TRUE(fcntl(pidfd.get(), F_GETFD) & FD_CLOEXEC);
  pollfd alive = {pidfd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&alive, 1, 0), 0);
  client.Signal(SIGKILL);
  EXPECT_TRUE(WaitFor(pidfd.get(), POLLIN));
}

TEST_F(FdChannelConnectionTest, AnOldKernelsPidfdComesByNumber) {
  OwnedFd client = Connect();
  FaultySyscalls old_kernel({.kind = Syscall::kGetSockOpt, .nth = 1, .error = ENOPROTOOPT});
  ASSERT_OK_AND_MOVE(FdChannel channel, FdChannel::Adopt(Accept(), old_kernel));
  EXPECT_TRUE(channel.PeerPidfd().valid());
  EXPECT_TRUE(old_kernel.fired());
}

TEST_F(FdChannelConnectionTest, ARefusedPidfdIsNotAskedForByNumber) {
  OwnedFd client = Connect();
  FaultySyscalls faulty({.kind = Syscall::kGetSockOpt, .nth = 1, .error = ESRCH});
  ASSERT_OK_AND_MOVE(FdChannel channel, FdChannel::Adopt(Accept(), faulty));
  EXPECT_FALSE(channel.PeerPidfd().valid());
}

TEST_F(FdChannelConnectionTest, AChannelWhosePeerIsGoneCanStillBeAdoptedAndRead) {
  OwnedFd client = Connect();
  ASSERT_EQ(SendRaw(client.get(), "last words", {}), 10);
  OwnedFd accepted = Accept();
  client.Reset();
  ASSERT_OK_AND_MOVE(FdChannel channel, FdChannel::Adopt(std::move(accepted)));
  EXPECT_EQ(channel.Receive().bytes, "last words");
  EXPECT_EQ(channel.Receive().kind, Received::kEndOfFile);
}

TEST_F(FdChannelConnectionTest, AnythingButAConnectedSeqpacketSocketIsRefusedAndClosed) {
  EXPECT_STATUS(FdChannel::Adopt(OwnedFd()), kInvalidArgument, "no socket");
  EXPECT_STATUS(FdChannel::Adopt(OwnedFd(open("/dev/null", O_RDWR | O_CLOEXEC))), kInvalidArgument,
                "no socket");
  EXPECT_STATUS(FdChannel::Adopt(OwnedFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))),
                kInvalidArgument, "no Unix SEQPACKET socket (family 2, type 1)");
  EXPECT_STATUS(FdChannel::Adopt(OwnedFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))),
                kInvalidArgument, "no Unix SEQPACKET socket");
  EXPECT_STATUS(FdChannel::Adopt(OwnedFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0))),
                kInvalidArgument, "not connected");
  EXPECT_STATUS(FdChannel::Adopt(std::move(listener_)), kInvalidArgument, "not connected");
}

TEST_F(FdChannelConnectionTest, AnAdoptedDescriptorBecomesCloseOnExec) {
  OwnedFd client = Connect();
  ASSERT_EQ(fcntl(client.get(), F_SETFD, 0), 0);
  ASSERT_OK_AND_MOVE(FdChannel channel, FdChannel::Adopt(std::move(client)));
  EXPECT_TRUE(fcntl(channel.fd(), F_GETFD) & FD_CLOEXEC);
}

// Faults of the kernel, one after the other.

TEST(FdChannelFaultTest, EachFailureOfAPairLeavesNothingOpen) {
  FdAudit audit;
  for (int n = 1;; ++n) {
    FaultySyscalls faulty({.nth = n, .error = ENOMEM});
    absl::StatusOr<FdChannel::Ends> ends = FdChannel::Pair(faulty);
    if (!faulty.fired()) {
      EXPECT_EQ(ends.status().code(), kOk);
      EXPECT_GT(n, 3);
      break;
    }
    EXPECT_EQ(ends.status().code(), absl::StatusCode::kResourceExhausted) << ends.status();
  }
}

struct SendCase {
  int error;
  SendResult::Kind kind;
  absl::StatusCode code;
};

TEST(FdChannelFaultTest, EachErrnoOfASendMeansOneThing) {
  const SendCase cases[] = {
      {EAGAIN, SendResult::kWouldBlock, absl::StatusCode::kUnavailable},
      {ETOOMANYREFS, SendResult::kWouldBlock, absl::StatusCode::kResourceExhausted},
      {ENOBUFS, SendResult::kWouldBlock, absl::StatusCode::kResourceExhausted},
      {ENOMEM, SendResult::kWouldBlock, absl::StatusCode::kResourceExhausted},
      {EPIPE, SendResult::kPeerGone, absl::StatusCode::kUnavailable},
      {ECONNRESET, SendResult::kPeerGone, absl::StatusCode::kUnavailable},
      {EMSGSIZE, SendResult::kFailed, absl::StatusCode::kInternal},
      {EPERM, SendResult::kFailed, absl::StatusCode::kPermissionDenied},
      {EINTR, SendResult::kSent, kOk},
  };
  for (const SendCase& c : cases) {
    FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = c.error});
    ASSERT_OK_AND_MOVE(FdChannel::Ends ends, FdChannel::Pair(faulty));
    SendResult result = ends.ours.Send("x");
    EXPECT_EQ(result.kind, c.kind) << strerrorname_np(c.error);
    EXPECT_EQ(result.status.code(), c.code) << result.status;
  }
}

TEST(FdChannelFaultTest, AnInterruptedReceiveIsRepeated) {
  for (int error : {EINTR, ECONNRESET}) {
    FaultySyscalls faulty({.kind = Syscall::kRecvMsg, .nth = 1, .error = error});
    ASSERT_OK_AND_MOVE(FdChannel::Ends ends, FdChannel::Pair(faulty));
    ASSERT_EQ(ends.ours.Send("x").kind, SendResult::kSent);
    EXPECT_EQ(ends.theirs.Receive().bytes, "x");
  }
}

TEST(FdChannelFaultTest, AReceiveThatFailsForGoodIsBrokenAndDoesNotSpin) {
  for (int error : {ENOMEM, ENOTCONN, ECONNRESET}) {
    FaultySyscalls faulty(
        {.kind = Syscall::kRecvMsg, .nth = 1, .error = error, .persistent = true});
    ASSERT_OK_AND_MOVE(FdChannel::Ends ends, FdChannel::Pair(faulty));
    Received received = ends.theirs.Receive();
    EXPECT_EQ(received.kind, Received::kBroken);
    EXPECT_THAT(std::string(received.status.message()), HasSubstr(strerrorname_np(error)));
  }
}

}  // namespace
}  // namespace zdd
