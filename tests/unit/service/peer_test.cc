#include "zdd/service/peer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/fd_audit.h"
#include "tests/util/forked_child.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A peer, and the other end of its channel.
class PeerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFirstLoop(); }

  void Meet(Syscalls& syscalls = Syscalls::Real(), OwnedFd pidfd = OwnedFd()) {
    ASSERT_OK_AND_MOVE(FdChannel::Ends ends, FdChannel::Pair());
    ASSERT_OK_AND_MOVE(FdChannel ours, FdChannel::Adopt(std::move(ends.ours).Release(), syscalls));
    theirs_.emplace(std::move(ends.theirs));
    Peer::Listener listener;
    listener.on_frame = [this](const Frame& frame, const std::vector<OwnedFd>& fds) {
      told_.push_back(absl::StrCat(FrameName(frame), " ", fds.size()));
    };
    listener.on_garbage = [this](const absl::Status& status) {
      told_.push_back("garbage");
      garbage_ = status;
    };
    listener.on_dead = [this] { told_.push_back("dead"); };
    peer_ =
        std::make_shared<Peer>(loop_.get(), std::move(ours), std::move(pidfd), std::move(listener));
    peer_->Start();
  }
  void TearDown() override {
    if (peer_ != nullptr) peer_->Close();
  }

  // What the other end has got by now.
  std::vector<std::string> Got() {
    std::vector<std::string> got;
    for (Received received; (received = theirs_->Receive()).kind == Received::kFrame;) {
      absl::StatusOr<Frame> frame = Decode(received.bytes, static_cast<int>(received.fds.size()));
      EXPECT_OK(frame);
      got.push_back(absl::StrCat(FrameName(*frame), " ", received.fds.size()));
    }
    return got;
  }
  std::vector<std::string> Await(size_t count) {
    std::vector<std::string> got;
    EXPECT_TRUE(loop_.TurnUntil([&] {
      for (std::string& each : Got()) got.push_back(std::move(each));
      return got.size() >= count;
    }));
    return got;
  }
  void Say(const Frame& frame, absl::Span<const int> fds = {}) {
    EXPECT_EQ(theirs_->Send(Encode(frame), fds).kind, SendResult::kSent);
  }
  void AwaitTold(size_t count) {
    EXPECT_TRUE(loop_.TurnUntil([&] { return told_.size() >= count; }));
  }
  static Frame Welcome() {  // carries a descriptor
    WelcomeFrame welcome;
    welcome.generation = 2;
    welcome.pid = 1;
    welcome.predecessor = 1;
    return welcome;
  }
  static std::vector<OwnedFd> AFile() {
    std::vector<OwnedFd> fds;
    fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return fds;
  }

  FdAudit audit_;
  BorrowedLoop loop_;
  absl::optional<FdChannel> theirs_;
  std::shared_ptr<Peer> peer_;
  std::vector<std::string> told_;
  absl::Status garbage_;
};

TEST_F(PeerTest, FramesGoBothWaysWithTheirDescriptorsAndPingsAreNotTold) {
  Meet();
  peer_->Send(Welcome(), AFile());
  peer_->Send(AcceptFrame{});
  EXPECT_THAT(Got(), ElementsAre("welcome 1", "accept 0"));
  const Instant before = peer_->last_heard();
  Say(AcceptingFrame{});
  Say(Welcome(), {AFile()[0].get()});
  AwaitTold(2);
  Say(PingFrame{});
  EXPECT_TRUE(loop_.TurnUntil([&] { return peer_->last_heard() > before; }));
  peer_->ReadAll();
  EXPECT_THAT(told_, ElementsAre("accepting 0", "welcome 1"));
}

// EAGAIN: the queue is full, and poll tells when it is not. The others: poll does not tell.
TEST_F(PeerTest, WhatCannotBeSentNowIsSentLaterInOrder) {
  for (int error : {EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS}) {
    FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = error});
    Meet(faulty);
    peer_->Send(Welcome(), AFile());
    peer_->Send(PingFrame{});  // tells nothing if it waits
    EXPECT_THAT(Got(), IsEmpty()) << strerrorname_np(error);
    EXPECT_THAT(Await(1), ElementsAre("welcome 1"));
    peer_->Send(AcceptFrame{});
    EXPECT_THAT(Got(), ElementsAre("accept 0"));
    EXPECT_THAT(told_, IsEmpty());
    peer_->Close();
  }
}

TEST_F(PeerTest, WhatOnlyTimeCuresIsTriedOnceAMillisecond) {
  FaultySyscalls faulty(
      {.kind = Syscall::kSendMsg, .nth = 1, .error = ENOBUFS, .persistent = true});
  Meet(faulty);
  peer_->Send(AcceptFrame{});
  const Instant began = MonotonicNow();
  EXPECT_TRUE(loop_.TurnUntil([&] { return MonotonicNow() - began > absl::Milliseconds(50); }));
  EXPECT_GE(faulty.count(), 2);
  EXPECT_LE(faulty.count(), 2 + (MonotonicNow() - began) / absl::Milliseconds(1));
}

TEST_F(PeerTest, AFullQueueOfTheKernelsIsContinuedInOurs) {
  Meet();
  constexpr int kFrames = 1000;
  for (int i = 0; i < kFrames; ++i) peer_->Send(i % 2 == 0 ? Frame(AcceptFrame{}) : WishFrame{});
  const std::vector<std::string> got = Await(kFrames);
  ASSERT_EQ(got.size(), kFrames);
  for (int i = 0; i < kFrames; ++i) EXPECT_EQ(got[i], i % 2 == 0 ? "accept 0" : "wish 0");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(PeerTest, WhoReadsNothingForLongSpeaksGarbage) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EAGAIN, .persistent = true});
  Meet(faulty);
  for (int i = 0; i < 1024; ++i) peer_->Send(AcceptFrame{});
  peer_->Send(PingFrame{});
  EXPECT_THAT(told_, IsEmpty());
  peer_->Send(AcceptFrame{});
  EXPECT_THAT(told_, ElementsAre("garbage"));
  EXPECT_STATUS(garbage_, kResourceExhausted, "reads nothing (1024 frames wait)");
}

TEST_F(PeerTest, ToWhomNobodyReadsFramesAreDroppedUntilItsEndIsTold) {
  for (int error : {EPIPE, ECONNRESET}) {
    FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = error});
    Meet(faulty);
    peer_->Send(Welcome(), AFile());
    EXPECT_THAT(told_, IsEmpty()) << strerrorname_np(error);
    theirs_.reset();
    AwaitTold(1);
    peer_->Send(AcceptFrame{});
    EXPECT_THAT(std::exchange(told_, {}), ElementsAre("dead"));
    peer_->Close();
  }
}

TEST_F(PeerTest, AFrameThatCannotBeSentAtAllIsGarbageAndTheNextOneGoes) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EPERM});
  Meet(faulty);
  peer_->Send(AcceptFrame{});
  EXPECT_THAT(told_, ElementsAre("garbage"));
  EXPECT_STATUS(garbage_, kPermissionDenied, "send: send frame: Operation not permitted");
  peer_->Send(WishFrame{});
  EXPECT_THAT(Got(), ElementsAre("wish 0"));
}

TEST_F(PeerTest, ItMayBeForgottenByWhoHearsThatAFrameCannotBeSent) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EINVAL});
  Meet(faulty);
  Peer::Listener listener;
  listener.on_garbage = [this](const absl::Status&) {
    told_.push_back("garbage");
    peer_.reset();
  };
  peer_->SetListener(std::move(listener));
  peer_->Send(AcceptFrame{});
  EXPECT_THAT(told_, ElementsAre("garbage"));
  EXPECT_EQ(peer_, nullptr);
}

TEST_F(PeerTest, WhatIsNoFrameIsGarbageAndTheNextOneIsTold) {
  Meet();
  EXPECT_EQ(theirs_->Send("{}").kind, SendResult::kSent);
  EXPECT_EQ(theirs_->Send(Encode(AcceptFrame{}), {AFile()[0].get()}).kind, SendResult::kSent);
  Say(AcceptFrame{});
  AwaitTold(3);
  EXPECT_THAT(told_, ElementsAre("garbage", "garbage", "accept 0"));
  EXPECT_STATUS(garbage_, kDataLoss, "decode accept frame");
}

// They are lost, and it is said why.
TEST_F(PeerTest, DescriptorsThatFindNoRoomAreGarbageAndTheNextFrameIsTold) {
  Meet();
  std::vector<OwnedFd> file = AFile();
  Say(Welcome(), {file[0].get()});
  Say(AcceptFrame{});
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  peer_->ReadAll();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  AwaitTold(2);
  EXPECT_THAT(told_, ElementsAre("garbage", "accept 0"));
  EXPECT_STATUS(garbage_, kResourceExhausted, "RLIMIT_NOFILE is 3");
}

TEST_F(PeerTest, ACallThatFailsOnceIsGarbageAndTheNextFrameIsTold) {
  FaultySyscalls faulty({.kind = Syscall::kRecvMsg, .nth = 1, .error = ENOMEM});
  Meet(faulty);
  Say(AcceptFrame{});
  AwaitTold(2);
  EXPECT_THAT(told_, ElementsAre("garbage", "accept 0"));
  EXPECT_STATUS(garbage_, kResourceExhausted, "receive frame: Cannot allocate");
}

TEST_F(PeerTest, AChannelThatCannotBeReadIsGarbageOnceAndDoesNotHoldTheLoop) {
  FaultySyscalls faulty(
      {.kind = Syscall::kRecvMsg, .nth = 1, .error = ENOTCONN, .persistent = true});
  Meet(faulty);
  Say(AcceptFrame{});
  AwaitTold(1);
  loop_.Turn();
  peer_->ReadAll();
  EXPECT_THAT(told_, ElementsAre("garbage"));
  EXPECT_STATUS(garbage_, kUnavailable, "ENOTCONN");
  peer_->Send(WishFrame{});  // perhaps it still hears
  EXPECT_THAT(Got(), ElementsAre("wish 0"));
}

OwnedFd PidfdOf(pid_t pid) { return OwnedFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

TEST_F(PeerTest, ADeathIsToldOnceAfterAllThatWasSaid) {
  ForkedChild child([] { return pause(); });
  Meet(Syscalls::Real(), PidfdOf(child.pid()));
  Say(AcceptFrame{});
  Say(WishFrame{});
  child.Signal(SIGKILL);
  pollfd ended = {peer_->pidfd(), POLLIN, 0};
  ASSERT_EQ(poll(&ended, 1, 20000), 1);
  peer_->ReadAll();
  EXPECT_THAT(told_, ElementsAre("accept 0", "wish 0", "dead"));
  theirs_.reset();
  loop_.Turn();
  peer_->ReadAll();
  EXPECT_EQ(told_.size(), 3);
  EXPECT_TRUE(peer_->dead());
}

// Lets something happen right behind a look that found nothing.
class AfterALook : public Syscalls {
 public:
  explicit AfterALook(std::function<void()> happens) : happens_(std::move(happens)) {}
  ssize_t RecvMsg(int fd, msghdr* message, int flags) override {
    const ssize_t size = Syscalls::RecvMsg(fd, message, flags);
    const int error = errno;
    if (size < 0 && happens_) std::exchange(happens_, nullptr)();
    errno = error;
    return size;
  }

 private:
  std::function<void()> happens_;
};

TEST_F(PeerTest, WhatIsSaidBetweenALookAndTheDeathIsToldFirst) {
  ForkedChild child([] { return pause(); });
  AfterALook syscalls([&] {
    Say(AcceptFrame{});
    child.Signal(SIGKILL);
    pollfd ended = {peer_->pidfd(), POLLIN, 0};
    EXPECT_EQ(poll(&ended, 1, 20000), 1);
  });
  Meet(syscalls, PidfdOf(child.pid()));
  peer_->ReadAll();
  EXPECT_THAT(told_, ElementsAre("accept 0", "dead"));
}

TEST_F(PeerTest, WhoClosesItsChannelAndLivesOnSpeaksGarbage) {
  Meet(Syscalls::Real(), PidfdOf(getpid()));
  peer_->info.pid = getpid();
  theirs_.reset();
  AwaitTold(1);
  EXPECT_THAT(told_, ElementsAre("garbage"));
  EXPECT_STATUS(garbage_, kUnavailable, "closed the channel and lives on");
  EXPECT_FALSE(peer_->dead());
}

TEST_F(PeerTest, AfterCloseNothingIsToldAlsoNotWithinACallback) {
  Meet();
  Peer::Listener listener;
  listener.on_frame = [this](const Frame& frame, const std::vector<OwnedFd>&) {
    told_.emplace_back(FrameName(frame));
    peer_->Close();
  };
  listener.on_garbage = [](const absl::Status& status) { ADD_FAILURE() << status; };
  listener.on_dead = [] { ADD_FAILURE(); };
  peer_->SetListener(std::move(listener));
  Say(AcceptFrame{});
  Say(WishFrame{});
  AwaitTold(1);
  peer_->Send(AcceptFrame{});
  peer_->ReadAll();
  loop_.Turn();
  EXPECT_THAT(told_, ElementsAre("accept"));
  EXPECT_TRUE(peer_->closed());
}

}  // namespace
}  // namespace zdd
