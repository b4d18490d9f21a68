// One ticket at a time: what its owner sees, and what its callback may do.
#include "zdd/drain/ticket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/socket_pair.h"
#include "tests/unit/drain/virtual_time.h"
#include "zdd/base/owned_fd.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool Readable(int fd) {
  pollfd poll_fd = {fd, POLLIN, 0};
  return poll(&poll_fd, 1, 0) == 1;
}

class TicketTest : public ::testing::Test {
 protected:
  TicketTest() : table_(TicketTable::Create(&VirtualTime::Now)), drain_(table_) {
    plan_.spread = plan_.grace = absl::ZeroDuration();
    plan_.deadline = absl::Hours(1);
  }

  Ticket Enter() { return table_->Enter(table_->Kind("test")); }

  // All at once: the goodbye, then the ask to close those that are idle.
  void Begin() {
    drain_.Begin(plan_, "test", VirtualTime::Now());
    Tick();
  }
  void Tick() {
    while (drain_.Tick(VirtualTime::Now()) <= VirtualTime::Now()) {
    }
  }
  void Later() {
    VirtualTime::Advance(absl::Milliseconds(100));
    Tick();
  }

  absl::AnyInvocable<void(Ask)> Recorder() {
    return [this](Ask ask) { heard_.push_back(ask); };
  }

  std::shared_ptr<TicketTable> table_;
  Drain drain_;
  DrainPlan plan_;
  std::vector<Ask> heard_;
};

// ---- Values

TEST_F(TicketTest, AnEmptyOneIgnoresEverything) {
  Ticket empty;
  empty.SetBusy(true);
  empty.OnAsk(Recorder());
  EXPECT_FALSE(empty.valid());
  EXPECT_FALSE(empty.ShouldClose());
  EXPECT_EQ(empty.Asked(), Ask::kNone);
  EXPECT_EQ(empty.AskedFd(), -1);
  empty.Reset();
}

TEST_F(TicketTest, MovingLeavesAnEmptyOneBehind) {
  Ticket first = Enter();
  Ticket second = std::move(first);
  EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(second.valid());
  EXPECT_EQ(table_->Sums().live(), 1);
}

TEST_F(TicketTest, AssigningEndsTheOneThatWasHeld) {
  Ticket ticket = Enter();
  ticket = Enter();
  EXPECT_EQ(table_->Sums().live(), 1);
  ticket = Ticket();
  EXPECT_EQ(table_->Sums().live(), 0);
}

TEST_F(TicketTest, ItIsBornBusyAndCountsAsItSays) {
  Ticket ticket = Enter();
  EXPECT_EQ(table_->Count().busy, 1);
  ticket.SetBusy(false);
  EXPECT_EQ(table_->Count().busy, 0);
  EXPECT_EQ(table_->Count().idle, 1);
  ticket.SetBusy(true);
  EXPECT_EQ(table_->Count().busy, 1);
}

// ---- Asks

TEST_F(TicketTest, NothingIsAskedOutsideADrain) {
  Ticket ticket = Enter();
  ticket.OnAsk(Recorder());
  EXPECT_FALSE(ticket.ShouldClose());
  EXPECT_EQ(drain_.Tick(VirtualTime::Now()), absl::InfiniteDuration());
  EXPECT_THAT(heard_, IsEmpty());
}

TEST_F(TicketTest, ABusyOneHearsTheGoodbyeAndWhenIdleTheRest) {
  Ticket ticket = Enter();
  ticket.OnAsk(Recorder());
  Begin();
  EXPECT_TRUE(ticket.ShouldClose());
  EXPECT_THAT(heard_, ElementsAre(Ask::kGoodbye));
  ticket.SetBusy(false);
  Later();
  EXPECT_THAT(heard_, ElementsAre(Ask::kGoodbye, Ask::kCloseWhenIdle));
  Later();
  EXPECT_EQ(heard_.size(), 2u);
  drain_.Cut(VirtualTime::Now());
  for (int i = 0; i < 20; ++i) Later();
  EXPECT_THAT(heard_, ElementsAre(Ask::kGoodbye, Ask::kCloseWhenIdle, Ask::kCloseNow));
}

TEST_F(TicketTest, ACallbackSetLateHearsTheHighestAskAndNotInsideTheCall) {
  int wakes = 0;
  table_->SetWake([&] { ++wakes; });
  Ticket ticket = Enter();
  ticket.SetBusy(false);
  Begin();
  EXPECT_EQ(ticket.Asked(), Ask::kCloseWhenIdle);
  ticket.OnAsk(Recorder());
  EXPECT_THAT(heard_, IsEmpty());
  EXPECT_EQ(wakes, 1);
  Tick();
  EXPECT_THAT(heard_, ElementsAre(Ask::kCloseWhenIdle));
}

TEST_F(TicketTest, ACallbackSetLateOnABusyOneHearsTheGoodbyeFirst) {
  Ticket ticket = Enter();
  ticket.SetBusy(false);
  Begin();
  ticket.SetBusy(true);
  ticket.OnAsk(Recorder());
  Tick();
  EXPECT_THAT(heard_, ElementsAre(Ask::kGoodbye));
  ticket.SetBusy(false);
  Later();
  EXPECT_THAT(heard_, ElementsAre(Ask::kGoodbye, Ask::kCloseWhenIdle));
}

TEST_F(TicketTest, ASecondCallbackHearsOnlyWhatTheFirstHadNotHeard) {
  Ticket ticket = Enter();
  ticket.OnAsk([](Ask) {});
  Begin();
  ticket.OnAsk(Recorder());
  Tick();
  EXPECT_THAT(heard_, IsEmpty());
  ticket.SetBusy(false);
  Later();
  EXPECT_THAT(heard_, ElementsAre(Ask::kCloseWhenIdle));
}

TEST_F(TicketTest, ATakenAwayCallbackHearsNothing) {
  Ticket ticket = Enter();
  ticket.OnAsk(Recorder());
  ticket.OnAsk(nullptr);
  Begin();
  EXPECT_THAT(heard_, IsEmpty());
  EXPECT_TRUE(ticket.ShouldClose());
}

TEST_F(TicketTest, NoCallbackRunsAfterTheEnd) {
  Ticket ticket = Enter();
  Ticket other = Enter();
  ticket.OnAsk(Recorder());
  ticket.Reset();
  Begin();
  Later();
  EXPECT_THAT(heard_, IsEmpty());
}

TEST_F(TicketTest, TheSlotsNextTicketInheritsNothing) {
  {
    Ticket ticket = Enter();
    ticket.OnAsk(Recorder());
    ticket.SetBusy(false);
    Drain drain(table_);
    drain.Begin(plan_, "test", VirtualTime::Now());
    drain.Tick(VirtualTime::Now());
    EXPECT_TRUE(ticket.ShouldClose());
  }
  heard_.clear();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 200; ++i) {
    tickets.push_back(Enter());
    EXPECT_EQ(tickets.back().Asked(), Ask::kNone);
  }
  Begin();
  EXPECT_THAT(heard_, IsEmpty());
}

// ---- What a callback may do

TEST_F(TicketTest, ACallbackMayEndItsOwnTicket) {
  Ticket ticket = Enter();
  Ticket other = Enter();
  ticket.OnAsk([&](Ask ask) {
    heard_.push_back(ask);
    ticket.Reset();
  });
  Begin();
  Later();
  EXPECT_THAT(heard_, ElementsAre(Ask::kGoodbye));
  EXPECT_EQ(table_->Sums().live(), 1);
}

TEST_F(TicketTest, ACallbackMayBeTheLastOwnerOfItsTicket) {
  struct Session {
    Ticket ticket;
  };
  Ticket other = Enter();
  auto session = std::make_shared<Session>();
  session->ticket = Enter();
  std::weak_ptr<Session> weak = session;
  session->ticket.OnAsk([&session, weak](Ask) {
    std::shared_ptr<Session> self = weak.lock();
    session.reset();  // as another thread might, just now
  });
  Begin();
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(table_->Sums().live(), 1);
}

TEST_F(TicketTest, ACallbackMayReplaceAndTakeAwayItself) {
  Ticket ticket = Enter();
  ticket.OnAsk([&](Ask ask) {
    heard_.push_back(ask);
    ticket.OnAsk([&](Ask second) {
      heard_.push_back(second);
      ticket.OnAsk(nullptr);
    });
  });
  Begin();
  ticket.SetBusy(false);
  Later();
  EXPECT_THAT(heard_, ElementsAre(Ask::kGoodbye, Ask::kCloseWhenIdle));
  drain_.Cut(VirtualTime::Now());
  for (int i = 0; i < 20; ++i) Later();
  EXPECT_EQ(heard_.size(), 2u);
  EXPECT_EQ(ticket.Asked(), Ask::kCloseNow);
}

TEST_F(TicketTest, WhatAReplacedCallbackHeldMayEndTheTicketAsItDies) {
  auto ticket = std::make_shared<Ticket>(Enter());
  Ticket other = Enter();
  Ticket* raw = ticket.get();
  raw->OnAsk([ticket = std::move(ticket), raw](Ask) { raw->OnAsk(nullptr); });
  Begin();
  EXPECT_EQ(table_->Sums().live(), 1);
}

TEST_F(TicketTest, WhatACallbackHoldsMayEndOtherTicketsAsItDies) {
  auto other = std::make_shared<Ticket>(Enter());
  Ticket ticket = Enter();
  ticket.OnAsk([other = std::move(other)](Ask) {});
  ticket.Reset();
  EXPECT_EQ(table_->Sums().live(), 0);
}

TEST_F(TicketTest, ACallbackMayEnterATicketAndEndAllOthers) {
  std::vector<Ticket> tickets;
  for (int i = 0; i < 300; ++i) tickets.push_back(Enter());
  Ticket fresh;
  for (Ticket& ticket : tickets) {
    ticket.OnAsk([&](Ask) {
      for (Ticket& one : tickets) one.Reset();
      fresh = Enter();
    });
  }
  Begin();
  EXPECT_EQ(table_->Sums().live(), 1);
  EXPECT_TRUE(fresh.ShouldClose());
}

TEST_F(TicketTest, ACallbackMayDriveAnotherTablesDrain) {
  std::shared_ptr<TicketTable> other_table = TicketTable::Create(&VirtualTime::Now);
  Drain other_drain(other_table);
  Ticket other = other_table->Enter(0);
  other.OnAsk([&](Ask) { other.Reset(); });
  Ticket ticket = Enter();
  ticket.OnAsk([&](Ask) {
    other_drain.Begin(plan_, "inside", VirtualTime::Now());
    other_drain.Tick(VirtualTime::Now());
    ticket.Reset();
  });
  Begin();
  EXPECT_EQ(other_table->Sums().live(), 0);
  EXPECT_EQ(table_->Sums().live(), 0);
}

TEST_F(TicketTest, ACallbackMayListTheOldestIncludingItself) {
  Ticket ticket = Enter();
  size_t listed = 0;
  ticket.OnAsk([&](Ask) { listed = table_->Oldest(10).size(); });
  Begin();
  EXPECT_EQ(listed, 1u);
}

// ---- AskedFd

TEST_F(TicketTest, AskedFdIsReadableOnceItsTicketWasAskedAndForEver) {
  Ticket ticket = Enter();
  const int fd = ticket.AskedFd();
  ASSERT_GE(fd, 0);
  EXPECT_EQ(ticket.AskedFd(), fd);
  EXPECT_FALSE(Readable(fd));
  Begin();
  EXPECT_TRUE(Readable(fd));
  Later();
  EXPECT_TRUE(Readable(fd));
}

TEST_F(TicketTest, AskedFdOfOneWhoCameLateIsReadableAtOnce) {
  Ticket first = Enter();
  Begin();
  std::vector<Ticket> late;
  for (int i = 0; i < 200; ++i) {
    late.push_back(Enter());
    EXPECT_TRUE(Readable(late.back().AskedFd()));
  }
}

TEST_F(TicketTest, AskedFdsAreSharedByBucketsAndNoneIsReadableBeforeAllOfItsBucketWereAsked) {
  plan_.spread = absl::Seconds(10);
  std::vector<Ticket> tickets;
  std::set<int> fds;
  for (int i = 0; i < 2000; ++i) {
    tickets.push_back(Enter());
    fds.insert(tickets.back().AskedFd());
  }
  EXPECT_EQ(fds.size(), 64u);
  Begin();
  while (drain_.state() == DrainState::kAsking) {
    for (Ticket& ticket : tickets) {
      EXPECT_TRUE(!Readable(ticket.AskedFd()) || ticket.ShouldClose());
    }
    VirtualTime::Advance(absl::Milliseconds(500));
    Tick();
  }
  for (Ticket& ticket : tickets) EXPECT_TRUE(Readable(ticket.AskedFd()));
}

// ---- Kinds

TEST_F(TicketTest, KindsBeyondTheLimitShareOne) {
  for (int i = 0; i < 300; ++i) table_->Kind("kind " + std::to_string(i));
  EXPECT_EQ(table_->Kind("kind 7"), 7);
  EXPECT_EQ(table_->Kind("kind 299"), 255);
  Ticket ticket = table_->Enter(table_->Kind("one more"));
  EXPECT_EQ(table_->Count().by_kind.at("other").total, 1);
}

// ---- Migration

TEST_F(TicketTest, AConnectionThatComesBackByADuplicateIsClosedByThat) {
  SocketPair pair = TcpPair();
  Ticket ticket = table_->Enter(table_->Kind("test"), pair.server.get());
  Ticket back;
  OwnedFd fd;
  table_->SetMigrateSink([&](Ticket moving, OwnedFd moved, std::string) {
    back = std::move(moving);
    fd = std::move(moved);
  });
  OwnedFd duplicate(fcntl(pair.server.get(), F_DUPFD_CLOEXEC, 0));
  pair.server.Reset();
  std::move(ticket).Migrate(std::move(duplicate), "");
  Begin();
  drain_.CameBack(back, fd.get(), false);
  back.SetBusy(false);
  Later();
  EXPECT_EQ(back.Asked(), Ask::kCloseWhenIdle);
  char byte;
  EXPECT_EQ(recv(fd.get(), &byte, 1, MSG_DONTWAIT), 0);
  back.Reset();
}

}  // namespace
}  // namespace zdd
