// Real sockets: whose they are, when they are quiet, and what a drain does to them from outside.
#include "zdd/drain/tracked_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/socket_pair.h"
#include "tests/unit/drain/virtual_time.h"
#include "tests/util/fd_audit.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

bool AtEnd(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

bool StillOpen(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

// ---- The calls

class TrackedSocketTest : public ::testing::Test {
  FdAudit audit_;
};

TEST_F(TrackedSocketTest, EachSocketHasACookieAndOtherFilesHaveNone) {
  SocketPair pair = TcpPair();
  EXPECT_NE(SocketCookie(pair.server.get()), 0u);
  EXPECT_NE(SocketCookie(pair.server.get()), SocketCookie(pair.client.get()));
  OwnedFd duplicate = Duplicate(pair.server.get());
  EXPECT_EQ(SocketCookie(duplicate.get()), SocketCookie(pair.server.get()));
  OwnedFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(SocketCookie(file.get()), 0u);
  EXPECT_EQ(SocketCookie(-1), 0u);
}

TEST_F(TrackedSocketTest, AQuietConnectionReadsItsEndAndCanStillWrite) {
  for (SocketPair& pair : std::array<SocketPair, 2>{TcpPair(), UnixPair()}) {
    const uint64_t cookie = SocketCookie(pair.server.get());
    EXPECT_EQ(CloseQuiet(pair.server.get(), cookie), OutsideClose::kDone);
    EXPECT_TRUE(AtEnd(pair.server.get()));
    Send(pair.server.get(), "bye");
    pair.server.Reset();
    EXPECT_EQ(ReadToEnd(pair.client.get()), "bye");
  }
}

TEST_F(TrackedSocketTest, AnUnreadRequestIsNotQuiet) {
  SocketPair pair = TcpPair();
  const uint64_t cookie = SocketCookie(pair.server.get());
  Send(pair.client.get(), "GET");
  AwaitEvents(pair.server.get(), POLLIN);
  EXPECT_EQ(CloseQuiet(pair.server.get(), cookie), OutsideClose::kNotQuiet);
  char buffer[8];
  EXPECT_EQ(recv(pair.server.get(), buffer, sizeof(buffer), 0), 3);
  EXPECT_EQ(CloseQuiet(pair.server.get(), cookie), OutsideClose::kDone);
}

TEST_F(TrackedSocketTest, TheTailOfAResponseIsNotQuiet) {
  SocketPair pair = TcpPair();
  const uint64_t cookie = SocketCookie(pair.server.get());
  // More than the client's side takes without reading.
  const std::string block(1 << 20, 'x');
  ASSERT_EQ(fcntl(pair.server.get(), F_SETFL, O_NONBLOCK), 0);
  while (send(pair.server.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
  }
  EXPECT_EQ(CloseQuiet(pair.server.get(), cookie), OutsideClose::kNotQuiet);
}

TEST_F(TrackedSocketTest, CloseNowEndsBothDirections) {
  SocketPair pair = TcpPair();
  EXPECT_EQ(CloseNow(pair.server.get(), SocketCookie(pair.server.get())), OutsideClose::kDone);
  EXPECT_TRUE(AtEnd(pair.server.get()));
  EXPECT_EQ(ReadToEnd(pair.client.get()), "");
}

TEST_F(TrackedSocketTest, AStrangerWithTheSameNumberIsLeftAlone) {
  SocketPair ours = TcpPair();
  const uint64_t cookie = SocketCookie(ours.server.get());
  SocketPair strangers = TcpPair();
  const int number = ours.server.get();
  ASSERT_EQ(dup2(strangers.server.get(), number), number);
  EXPECT_EQ(CloseQuiet(number, cookie), OutsideClose::kStranger);
  EXPECT_EQ(CloseNow(number, cookie), OutsideClose::kStranger);
  EXPECT_EQ(PeerOf(number, cookie), "");
  EXPECT_TRUE(StillOpen(strangers.server.get()));
}

TEST_F(TrackedSocketTest, AClosedNumberAndAFileAreLeftAlone) {
  SocketPair pair = TcpPair();
  const uint64_t cookie = SocketCookie(pair.server.get());
  const int number = pair.server.get();
  pair.server.Reset();
  EXPECT_EQ(CloseNow(number, cookie), OutsideClose::kStranger);
  OwnedFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(CloseNow(file.get(), SocketCookie(file.get())), OutsideClose::kStranger);
}

TEST_F(TrackedSocketTest, ThePeerHasAName) {
  SocketPair tcp = TcpPair();
  EXPECT_THAT(PeerOf(tcp.server.get(), SocketCookie(tcp.server.get())),
              StartsWith("tcp://127.0.0.1:"));
  SocketPair local = UnixPair();
  EXPECT_EQ(PeerOf(local.server.get(), SocketCookie(local.server.get())), "unix:");
}

// ---- A drain of real connections, without a callback

class OutsideDrainTest : public ::testing::Test {
 protected:
  OutsideDrainTest() : table_(TicketTable::Create(&VirtualTime::Now)), drain_(table_) {
    plan_.spread = absl::ZeroDuration();
    plan_.grace = absl::Seconds(10);
    plan_.deadline = absl::Seconds(30);
  }
  Ticket Enter(int fd, bool busy) {
    Ticket ticket = table_->Enter(table_->Kind("http"), fd);
    ticket.SetBusy(busy);
    return ticket;
  }
  void RunFor(absl::Duration time) {
    const Instant until = VirtualTime::Now() + time;
    do {
      while (drain_.Tick(VirtualTime::Now()) <= VirtualTime::Now()) {
      }
      VirtualTime::Advance(absl::Milliseconds(50));
    } while (VirtualTime::Now() <= until);
  }

  FdAudit audit_;
  std::shared_ptr<TicketTable> table_;
  Drain drain_;
  DrainPlan plan_;
};

TEST_F(OutsideDrainTest, AnIdleConnectionIsClosedWhenItsGraceIsOverAndNotBefore) {
  SocketPair pair = TcpPair();
  Ticket ticket = Enter(pair.server.get(), /*busy=*/false);
  drain_.Begin(plan_, "test", VirtualTime::Now());
  RunFor(absl::Seconds(9));
  EXPECT_TRUE(ticket.ShouldClose());
  EXPECT_TRUE(StillOpen(pair.server.get()));
  RunFor(absl::Seconds(2));
  EXPECT_TRUE(AtEnd(pair.server.get()));
  ticket.Reset();
  RunFor(absl::Seconds(1));
  EXPECT_TRUE(drain_.drained());
  EXPECT_EQ(drain_.report(VirtualTime::Now()).closed, 1);
}

TEST_F(OutsideDrainTest, OneWithARequestUnreadIsClosedOnlyWhenThatWasRead) {
  SocketPair pair = TcpPair();
  Ticket ticket = Enter(pair.server.get(), /*busy=*/false);
  Send(pair.client.get(), "GET");
  AwaitEvents(pair.server.get(), POLLIN);
  drain_.Begin(plan_, "test", VirtualTime::Now());
  RunFor(absl::Seconds(12));
  char buffer[8];
  EXPECT_EQ(recv(pair.server.get(), buffer, sizeof(buffer), 0), 3);
  EXPECT_TRUE(StillOpen(pair.server.get()));
  RunFor(absl::Seconds(1));
  EXPECT_TRUE(AtEnd(pair.server.get()));
}

TEST_F(OutsideDrainTest, ABusyConnectionIsLeftAloneUntilTheCut) {
  SocketPair pair = TcpPair();
  Ticket ticket = Enter(pair.server.get(), /*busy=*/true);
  drain_.Begin(plan_, "test", VirtualTime::Now());
  RunFor(absl::Seconds(28));
  EXPECT_TRUE(StillOpen(pair.server.get()));
  RunFor(absl::Seconds(2));
  EXPECT_TRUE(AtEnd(pair.server.get()));
  EXPECT_EQ(ReadToEnd(pair.client.get()), "");
}

TEST_F(OutsideDrainTest, ACallbackReplacesWhatIsDoneFromOutside) {
  SocketPair pair = TcpPair();
  Ticket ticket = Enter(pair.server.get(), /*busy=*/false);
  int heard = 0;
  ticket.OnAsk([&](Ask) { ++heard; });
  drain_.Begin(plan_, "test", VirtualTime::Now());
  RunFor(absl::Seconds(33));
  EXPECT_EQ(heard, 3);
  EXPECT_TRUE(StillOpen(pair.server.get()));
}

TEST_F(OutsideDrainTest, WhoIsLeftIsNamedWithItsPeer) {
  SocketPair pair = TcpPair();
  Ticket ticket = Enter(pair.server.get(), /*busy=*/true);
  drain_.Begin(plan_, "test", VirtualTime::Now());
  RunFor(absl::Seconds(33));
  const DrainReport report = drain_.report(VirtualTime::Now());
  ASSERT_THAT(report.stragglers, SizeIs(1));
  EXPECT_THAT(report.stragglers[0].peer, StartsWith("tcp://127.0.0.1:"));
  EXPECT_EQ(report.stragglers[0].kind, "http");
}

TEST_F(OutsideDrainTest, ATicketThatOutlivedItsFdHarmsNobodyAndIsReported) {
  SocketPair ours = TcpPair();
  Ticket ticket = Enter(ours.server.get(), /*busy=*/false);
  SocketPair strangers = TcpPair();
  ASSERT_GE(dup2(strangers.server.get(), ours.server.get()), 0);
  drain_.Begin(plan_, "test", VirtualTime::Now());
  RunFor(absl::Seconds(33));
  EXPECT_TRUE(StillOpen(strangers.server.get()));
  EXPECT_GE(drain_.report(VirtualTime::Now()).outlived_fd, 1);
}

TEST_F(OutsideDrainTest, AConnectionAcceptedAfterTheEndIsShutDown) {
  drain_.Begin(plan_, "test", VirtualTime::Now());
  RunFor(absl::ZeroDuration());
  ASSERT_TRUE(drain_.drained());
  SocketPair pair = TcpPair();
  Ticket late = Enter(pair.server.get(), /*busy=*/true);
  drain_.Tick(VirtualTime::Now());
  EXPECT_TRUE(AtEnd(pair.server.get()));
}

TEST_F(OutsideDrainTest, OldestNamesPeersOutsideADrainToo) {
  SocketPair pair = TcpPair();
  Ticket ticket = Enter(pair.server.get(), /*busy=*/false);
  const std::vector<Straggler> oldest = table_->Oldest(5);
  ASSERT_THAT(oldest, SizeIs(1));
  EXPECT_THAT(oldest[0].peer, StartsWith("tcp://127.0.0.1:"));
  EXPECT_FALSE(oldest[0].busy);
  EXPECT_THAT(table_->Oldest(0), IsEmpty());
}

}  // namespace
}  // namespace zdd
