// Real sockets: the last response arrives, whatever the client sends meanwhile, and nobody waits
// for ever.
#include "zdd/drain/close_gently.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/socket_pair.h"
#include "tests/util/fd_audit.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/linger_result.h"
#include "zdd/drain/lingerer.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

using ::testing::EndsWith;
using ::testing::Not;

const char kResponse[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
const char kPipelined[] = "GET /one-more HTTP/1.1\r\n\r\n";

class CloseGentlyTest : public ::testing::Test {
  FdAudit audit_;
};
using LingererTest = CloseGentlyTest;

// A response has been written, and one more request lies there unread.
SocketPair AnsweredWithOneMore() {
  SocketPair pair = TcpPair();
  Send(pair.client.get(), kPipelined);
  AwaitEvents(pair.server.get(), POLLIN);
  Send(pair.server.get(), kResponse);
  return pair;
}

// As much of a large response as the two sides' buffers take; the client reads slowly.
size_t StartLargeResponse(int fd) {
  const std::string block(64 * 1024, 'x');
  size_t sent = 0;
  ssize_t bytes;
  while ((bytes = send(fd, block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0) {
    sent += static_cast<size_t>(bytes);
  }
  return sent;
}

TEST_F(CloseGentlyTest, APlainCloseDestroysTheTailOfTheResponse) {  // why all this is there
  SocketPair pair = AnsweredWithOneMore();
  const size_t sent = StartLargeResponse(pair.server.get());
  pair.server.Reset();
  const std::string read = ReadToEnd(pair.client.get());
  EXPECT_THAT(read, EndsWith("RESET"));
  EXPECT_LT(read.size(), sent);
}

TEST_F(CloseGentlyTest, AGentleCloseDeliversALargeResponseToASlowReader) {
  SocketPair pair = AnsweredWithOneMore();
  const size_t sent = StartLargeResponse(pair.server.get()) + sizeof(kResponse) - 1;
  std::thread client([&] {
    const std::string read = ReadToEnd(pair.client.get());
    EXPECT_EQ(read.size(), sent);
    EXPECT_THAT(read, Not(EndsWith("RESET")));
    pair.client.Reset();
  });
  EXPECT_EQ(CloseGently(std::move(pair.server)).end, LingerResult::End::kClean);
  client.join();
}

TEST_F(CloseGentlyTest, AGentleCloseDeliversTheResponse) {
  SocketPair pair = AnsweredWithOneMore();
  std::string read;
  std::thread client([&] {
    read = ReadToEnd(pair.client.get());
    pair.client.Reset();
  });
  const LingerResult result = CloseGently(std::move(pair.server));
  client.join();
  EXPECT_EQ(read, kResponse);
  EXPECT_EQ(result.end, LingerResult::End::kClean);
  EXPECT_EQ(result.discarded, static_cast<int64_t>(sizeof(kPipelined) - 1));
}

TEST_F(CloseGentlyTest, AClientThatNeverClosesIsWaitedForOnlySoLong) {
  SocketPair pair = TcpPair();
  LingerLimits limits;
  limits.time = absl::Milliseconds(30);
  const Instant began = MonotonicNow();
  const LingerResult result = CloseGently(std::move(pair.server), Ticket(), limits);
  EXPECT_EQ(result.end, LingerResult::End::kTimeout);
  EXPECT_GE(MonotonicNow() - began, limits.time);
}

TEST_F(CloseGentlyTest, AClientThatNeverStopsSendingIsReadOnlySoFar) {
  SocketPair pair = TcpPair();
  std::thread client([&] {
    const std::string block(64 * 1024, 'x');
    while (send(pair.client.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  const LingerResult result = CloseGently(std::move(pair.server));
  client.join();
  EXPECT_EQ(result.end, LingerResult::End::kTooMuch);
  EXPECT_GE(result.discarded, LingerLimits().bytes);
}

TEST_F(CloseGentlyTest, AClientThatResetIsLetGoOfAtOnce) {
  SocketPair pair = TcpPair();
  const linger abort = {1, 0};
  setsockopt(pair.client.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  pair.client.Reset();
  AwaitEvents(pair.server.get(), POLLIN);
  EXPECT_EQ(CloseGently(std::move(pair.server)).end, LingerResult::End::kReset);
}

TEST_F(CloseGentlyTest, WhatIsNoConnectionIsJustClosed) {
  EXPECT_EQ(CloseGently(OwnedFd()).end, LingerResult::End::kReset);
  OwnedFd unconnected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(CloseGently(std::move(unconnected)).end, LingerResult::End::kReset);
}

TEST_F(CloseGentlyTest, ItWorksOnABlockingAndOnAUnixSocket) {
  SocketPair pair = UnixPair();
  Send(pair.server.get(), kResponse);
  std::thread client([&] {
    EXPECT_EQ(ReadToEnd(pair.client.get()), kResponse);
    pair.client.Reset();
  });
  EXPECT_EQ(CloseGently(std::move(pair.server)).end, LingerResult::End::kClean);
  client.join();
}

TEST_F(CloseGentlyTest, TheTicketIsBusyMeanwhileAndEndsBeforeTheFdIsClosed) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  SocketPair pair = TcpPair();
  Ticket ticket = table->Enter(0, pair.server.get());
  ticket.SetBusy(false);
  std::thread client([&] {
    EXPECT_EQ(ReadToEnd(pair.client.get()), "");  // our direction has ended
    EXPECT_EQ(table->Count().busy, 1);
    pair.client.Reset();
  });
  CloseGently(std::move(pair.server), std::move(ticket));
  client.join();
  EXPECT_EQ(table->Sums().live(), 0);
}

// ---- Requests that lose the race

// A connection that a drain has asked for `ask`, whatever it wanted to do itself; its client sends
// one more request.
class LostRaceTest : public CloseGentlyTest {
 protected:
  LostRaceTest() : table_(TicketTable::Create()), drain_(table_) {}

  Ticket AskedFor(Ask ask) {
    Ticket ticket = table_->Enter(0);
    ticket.OnAsk([](Ask) {});
    ticket.SetBusy(ask == Ask::kGoodbye);
    DrainPlan plan;
    plan.spread = plan.grace = absl::ZeroDuration();
    drain_.Begin(plan, "test", MonotonicNow());
    if (ask == Ask::kCloseNow) drain_.Cut(MonotonicNow());
    while (ticket.Asked() < ask) drain_.Tick(MonotonicNow());
    EXPECT_EQ(ticket.Asked(), ask);
    return ticket;
  }
  int64_t lost_race() const { return drain_.report(MonotonicNow()).lost_race; }

  std::shared_ptr<TicketTable> table_;
  Drain drain_;
  const LingerLimits limits_ = {absl::ZeroDuration()};
};

TEST_F(LostRaceTest, ARequestAfterACloseOfTheIdleCountsAsOne) {
  CloseGently(AnsweredWithOneMore().server, AskedFor(Ask::kCloseWhenIdle), limits_);
  EXPECT_EQ(lost_race(), 1);
}

TEST_F(LostRaceTest, NoneCountsWhereNoRequestCame) {
  SocketPair pair = TcpPair();
  CloseGently(std::move(pair.server), AskedFor(Ask::kCloseWhenIdle), limits_);
  EXPECT_EQ(lost_race(), 0);
}

TEST_F(LostRaceTest, WhoWasToldThatItWasTheLastResponseHasLostNone) {
  CloseGently(AnsweredWithOneMore().server, AskedFor(Ask::kGoodbye), limits_);
  EXPECT_EQ(lost_race(), 0);
}

TEST_F(LostRaceTest, WhoWasCutHasLostNoRace) {
  CloseGently(AnsweredWithOneMore().server, AskedFor(Ask::kCloseNow), limits_);
  EXPECT_EQ(lost_race(), 0);
}

TEST_F(LostRaceTest, FromALoopItCountsTheSame) {
  SocketPair pair = AnsweredWithOneMore();
  Lingerer lingerer;
  lingerer.Add(std::move(pair.server), AskedFor(Ask::kCloseWhenIdle), MonotonicNow());
  lingerer.Tick(MonotonicNow());  // reads it
  pair.client.Reset();
  AwaitEvents(lingerer.poll_fd(), POLLIN);
  lingerer.Tick(MonotonicNow());
  EXPECT_EQ(lost_race(), 1);
}

// ---- From a loop

// Ticks as a loop would until nobody lingers any more.
void RunUntilEmpty(Lingerer* lingerer) {
  while (lingerer->count() > 0) {
    const Instant next = lingerer->Tick(MonotonicNow());
    if (lingerer->count() == 0) return;
    const int64_t ms = absl::ToInt64Milliseconds(
        absl::Ceil(std::max(absl::ZeroDuration(), next - MonotonicNow()), absl::Milliseconds(1)));
    pollfd poll_fd = {lingerer->poll_fd(), POLLIN, 0};
    poll(&poll_fd, 1, static_cast<int>(ms));
  }
}

TEST_F(LingererTest, ManyResponsesArriveThoughOneMoreRequestLiesUnread) {
  constexpr size_t kCount = 200;
  Lingerer lingerer;
  std::vector<OwnedFd> clients;
  for (size_t i = 0; i < kCount; ++i) {
    SocketPair pair = AnsweredWithOneMore();
    lingerer.Add(std::move(pair.server), Ticket(), MonotonicNow());
    clients.push_back(std::move(pair.client));
  }
  EXPECT_EQ(lingerer.count(), static_cast<int>(kCount));
  std::thread client([&] {
    for (OwnedFd& fd : clients) {
      EXPECT_EQ(ReadToEnd(fd.get()), kResponse);
      fd.Reset();
    }
  });
  RunUntilEmpty(&lingerer);
  client.join();
  EXPECT_EQ(lingerer.lost_race(), static_cast<int64_t>(kCount));
  EXPECT_EQ(lingerer.Tick(MonotonicNow()), absl::InfiniteDuration());
}

TEST_F(LingererTest, ItDoesNotBlockAndGivesUpWhenTheTimeIsOver) {
  LingerLimits limits;
  Lingerer lingerer(limits);
  SocketPair pair = TcpPair();
  const Instant now = MonotonicNow();
  lingerer.Add(std::move(pair.server), Ticket(), now);
  EXPECT_EQ(lingerer.Tick(now), now + limits.time);
  EXPECT_EQ(lingerer.Tick(now + limits.time - absl::Nanoseconds(1)), now + limits.time);
  EXPECT_EQ(lingerer.count(), 1);
  EXPECT_EQ(lingerer.Tick(now + limits.time), absl::InfiniteDuration());
  EXPECT_EQ(lingerer.count(), 0);
  EXPECT_EQ(ReadToEnd(pair.client.get()), "");
}

TEST_F(LingererTest, AClientThatNeverStopsSendingIsCutOff) {
  LingerLimits limits;
  limits.bytes = 100000;
  Lingerer lingerer(limits);
  SocketPair pair = TcpPair();
  lingerer.Add(std::move(pair.server), Ticket(), MonotonicNow());
  std::thread client([&] {
    const std::string block(64 * 1024, 'x');
    while (send(pair.client.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  RunUntilEmpty(&lingerer);
  client.join();
  EXPECT_EQ(lingerer.lost_race(), 1);
}

TEST_F(LingererTest, TicketsEndWithTheirConnectionsAndAtTheEnd) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  SocketPair done = TcpPair();
  SocketPair open = TcpPair();
  {
    Lingerer lingerer;
    Ticket ticket = table->Enter(0, done.server.get());
    lingerer.Add(std::move(done.server), std::move(ticket), MonotonicNow());
    ticket = table->Enter(0, open.server.get());
    ticket.SetBusy(false);
    lingerer.Add(std::move(open.server), std::move(ticket), MonotonicNow());
    EXPECT_EQ(table->Count().busy, 2);
    done.client.Reset();
    AwaitEvents(lingerer.poll_fd(), POLLIN);
    lingerer.Tick(MonotonicNow());
    EXPECT_EQ(table->Sums().live(), 1);
  }
  EXPECT_EQ(table->Sums().live(), 0);
}

TEST_F(LingererTest, WhatIsNoConnectionDoesNotLinger) {
  Lingerer lingerer;
  lingerer.Add(OwnedFd(), Ticket(), MonotonicNow());
  EXPECT_EQ(lingerer.count(), 0);
  EXPECT_EQ(lingerer.Tick(MonotonicNow()), absl::InfiniteDuration());
}

}  // namespace
}  // namespace zdd
