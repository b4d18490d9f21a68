// Both ends on the real kernel, in virtual time: what moves, what comes back, what is adopted.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/socket_pair.h"
#include "tests/unit/migration/migration_pair.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/free_fds.h"

namespace zdd {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<int> From0To(int end) {
  std::vector<int> numbers(static_cast<size_t>(end));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

std::vector<std::string> ReasonsOf(const MigrationPair& pair) {
  std::vector<std::string> reasons;
  for (const auto& one : pair.returned) reasons.push_back(one.why);
  return reasons;
}

class MigrationTest : public ::testing::Test {
  FdAudit audit_;
};

// ---- Moving.

TEST_F(MigrationTest, AConnectionArrivesWithAllThatItsServerKnew) {
  MigrationPair pair;
  for (size_t size : {size_t{0}, size_t{1}, kInlineStateBytesMax, kInlineStateBytesMax + 1,
                      kMigrationStateBytesMax})
    pair.Add(std::string(size, static_cast<char>(size)), absl::StrCat("listener ", size));
  Send(pair.clients[4].get(), "sent meanwhile");
  pair.Settle();
  ASSERT_THAT(pair.Delivered(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(pair.moved, 5);
  for (const Migrant& migrant : pair.delivered) {
    const size_t size = migrant.state.size();
    EXPECT_EQ(migrant.listener, absl::StrCat("listener ", size));
    EXPECT_EQ(migrant.state, std::string(size, static_cast<char>(size)));
    EXPECT_EQ(migrant.format, "h1");
    EXPECT_FALSE(migrant.ticket.valid());
  }
  EXPECT_THAT(pair.delivered[4].state, SizeIs(kMigrationStateBytesMax));
  char buffer[32] = {};
  EXPECT_EQ(recv(pair.delivered[4].fd.get(), buffer, sizeof(buffer), 0), 14);
  MigrationPair::Greet(pair.delivered[0], "hello");
  EXPECT_EQ(pair.Heard(0), "hello");
  pair.delivered.clear();  // no copy is left over
  for (int client : From0To(5)) EXPECT_THAT(pair.Heard(client), HasSubstr("CLOSED"));
}

TEST_F(MigrationTest, TheTicketCountsUntilTheAcknowledgementIsRead) {
  MigrationPair pair;
  pair.AddMany(3);
  pair.TickSender();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(3));
  EXPECT_EQ(pair.tickets(), 3);
  EXPECT_EQ(pair.sender->pending(), 3);
  pair.TickSender();
  EXPECT_EQ(pair.tickets(), 0);
  EXPECT_EQ(pair.sender->pending(), 0);
}

TEST_F(MigrationTest, AMovedConnectionIsClosedAndNeverShutDown) {
  MigrationPair pair;
  pair.Add("secret");
  pair.on_moved = [](const Migrant& migrant) { EXPECT_EQ(migrant.state, ""); };
  pair.Settle();
  EXPECT_EQ(pair.Heard(0), "");
}

TEST_F(MigrationTest, SixteenGoAtOnceFewerWithTheNextTick) {
  MigrationPair pair;
  pair.AddMany(15);
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, IsEmpty());
  pair.Add();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(16));
  EXPECT_EQ(pair.sender->counts().batches, 1);
  pair.Add();
  EXPECT_EQ(pair.TickSender(), pair.now + AnswerClock::kAnswerTime);
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(17));
}

TEST_F(MigrationTest, AtMostEightBatchesAreOnTheirWay) {
  MigrationPair pair;
  pair.AddMany(200);
  pair.TickSender();
  EXPECT_EQ(pair.sender->unacknowledged(), 128);
  pair.Settle();
  EXPECT_EQ(pair.Delivered(), From0To(200));
}

TEST_F(MigrationTest, ABatchHoldsUpTo64IfSoWished) {
  MigrationPair pair({.batch_items = 1000});
  pair.AddMany(65);
  pair.Settle();
  EXPECT_EQ(pair.sender->counts().batches, 2);
  EXPECT_EQ(pair.Delivered(), From0To(65));
}

TEST_F(MigrationTest, StatesThatFillDatagramsTravelInOrder) {
  MigrationPair pair;
  for (int i = 0; i < 40; ++i) pair.Add(std::string(kInlineStateBytesMax, 'x'));
  pair.TickSender();
  EXPECT_LT(pair.sender->unacknowledged(), 16);  // by their bytes
  pair.Settle();
  EXPECT_EQ(pair.Delivered(), From0To(40));
}

TEST_F(MigrationTest, AStateThatIsTooLargeComesBackFromTheNextTick) {
  MigrationPair pair;
  pair.Add(std::string(kMigrationStateBytesMax + 1, 'x'));
  EXPECT_THAT(pair.returned, IsEmpty());
  EXPECT_EQ(pair.sender->pending(), 1);
  pair.TickSender();
  ASSERT_THAT(pair.returned, SizeIs(1));
  EXPECT_EQ(pair.returned[0].why,
            "migrate: the state is too long (1048577 bytes, at most 1048576)");
  EXPECT_THAT(pair.returned[0].migrant.state, SizeIs(kMigrationStateBytesMax + 1));
  EXPECT_EQ(pair.tickets(), 1);
}

TEST_F(MigrationTest, OneWithoutADescriptorComesBack) {
  MigrationPair pair;
  pair.Add(Migrant());
  pair.TickSender();
  EXPECT_THAT(ReasonsOf(pair), ElementsAre("migrate: no descriptor"));
}

// ---- Refusing.

TEST_F(MigrationTest, WhatTheReceiverDoesNotKnowComesBackWithItsBytes) {
  MigrationPair pair;
  pair.accept = [](const BatchItem& item) {
    return item.listener == "http" ? absl::OkStatus() : absl::NotFoundError(item.listener);
  };
  pair.Add("a");
  pair.Add("b", "admin");
  pair.Add(std::string(10000, 'c'), "admin");
  pair.Add("d");
  pair.Settle();
  EXPECT_THAT(pair.Delivered(), ElementsAre(0, 3));
  ASSERT_THAT(pair.Returns(), ElementsAre(1, 2));
  EXPECT_THAT(ReasonsOf(pair), Each("the receiver refused it"));
  EXPECT_EQ(pair.returned[0].migrant.state, "b");
  EXPECT_EQ(pair.returned[1].migrant.state, std::string(10000, 'c'));
  EXPECT_EQ(pair.tickets(), 2);
  EXPECT_EQ(pair.sender->counts().refused, 2);
  EXPECT_EQ(pair.receiver->counts().refused, 2);
  MigrationPair::Greet(pair.returned[0].migrant, "home");
  EXPECT_EQ(pair.Heard(1), "home");
}

// Notes how many descriptors are open when an acknowledgement goes.
class CountingSyscalls : public Syscalls {
 public:
  ssize_t SendMsg(int fd, const msghdr* message, int flags) override {
    free_fds.push_back(FreeFds());
    return Syscalls::SendMsg(fd, message, flags);
  }
  std::vector<int> free_fds;
};

TEST_F(MigrationTest, WhatIsRefusedIsClosedBeforeTheReceiverSaysSo) {
  CountingSyscalls calls;
  MigrationPair pair(SenderLimits(), Syscalls::Real(), calls);
  pair.accept = [](const BatchItem&) { return absl::NotFoundError("all"); };
  for (int i = 0; i < 4; ++i) pair.Add(std::string(10000, 'x'));
  pair.TickSender();
  const int before = FreeFds();
  pair.TickReceiver();
  EXPECT_THAT(calls.free_fds, ElementsAre(before));
}

TEST_F(MigrationTest, WhoIsAboutToStopRefusesAll) {
  MigrationPair pair;
  pair.AddMany(40);
  pair.receiver->Refuse();
  pair.Settle();
  EXPECT_THAT(pair.delivered, IsEmpty());
  EXPECT_EQ(pair.Returns(), From0To(40));
  EXPECT_TRUE(pair.sender->open());
}

TEST_F(MigrationTest, WhatIsNoConnectionComesBackAlone) {
  MigrationPair pair;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  OwnedFd reader(ends[0]);
  OwnedFd datagram(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  OwnedFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(listen(listener.get(), 1), 0);
  const auto add = [&](OwnedFd fd, int number) {
    pair.Add({std::move(fd), Ticket(), "http", "h1", "", absl::Seconds(number)});
  };
  add(std::move(reader), 100);
  pair.Add();
  add(std::move(datagram), 101);
  add(std::move(listener), 102);
  add(OwnedFd(ends[1]), 103);
  pair.Settle();
  EXPECT_THAT(pair.Delivered(), ElementsAre(0));
  EXPECT_THAT(pair.Returns(), ElementsAre(100, 101, 102, 103));
}

TEST_F(MigrationTest, AConnectionWhoseClientIsGoneMovesAsAnyOther) {
  MigrationPair pair;
  for (int i = 0; i < 2; ++i) {
    const int client = pair.Add();
    const linger reset = {1, 0};
    setsockopt(pair.clients[client].get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    pair.clients[client].Reset();
  }
  pair.Settle();
  EXPECT_THAT(pair.Delivered(), ElementsAre(0, 1));
}

// ---- Pace.

TEST_F(MigrationTest, AReceiverWhoseServerIsBehindReadsNoMore) {
  MigrationPair pair;
  pair.AddMany(128);
  EXPECT_EQ(pair.TickReceiver(), absl::InfiniteDuration());
  EXPECT_THAT(pair.delivered, SizeIs(80));
  EXPECT_FALSE(pair.receiver->wants_read());
  for (int i = 0; i < 15; ++i) pair.receiver->Taken(1);
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(80));
  pair.receiver->Taken(1);
  EXPECT_TRUE(pair.receiver->wants_read());
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(96));
  EXPECT_EQ(pair.receiver->undelivered(), 80);
}

TEST_F(MigrationTest, OneThatHangsLosesWhatItHasNotAcknowledged) {
  MigrationPair pair;
  pair.AddMany(128);
  pair.TickReceiver();
  pair.TickSender();
  pair.now += AnswerClock::kAnswerTime;
  pair.TickSender();
  EXPECT_EQ(pair.moved, 80);
  EXPECT_THAT(pair.returned, SizeIs(48));
  pair.TakeUp();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(80));
  EXPECT_FALSE(pair.receiver->open());
}

TEST_F(MigrationTest, OneTickTakesEightBatchesAtTheMost) {
  MigrationPair pair({.batch_items = 1});
  pair.AddMany(8);
  EXPECT_EQ(pair.TickReceiver(), pair.now);
  pair.TickSender();
  EXPECT_EQ(pair.TickReceiver(), absl::InfiniteDuration());
  EXPECT_THAT(pair.delivered, SizeIs(8));
}

// ---- Revocation.

TEST_F(MigrationTest, AFrozenReceiversBatchIsRevokedAfter300Milliseconds) {
  MigrationPair pair;
  pair.AddMany(20);
  pair.TickSender();
  pair.now += absl::Milliseconds(299);
  EXPECT_EQ(pair.TickSender(), pair.now + absl::Milliseconds(1));
  EXPECT_THAT(pair.returned, IsEmpty());
  pair.now += absl::Milliseconds(1);
  pair.TickSender();
  EXPECT_EQ(pair.Returns(), From0To(20));
  EXPECT_THAT(ReasonsOf(pair), Each("the receiver does not answer: batch 1 waited 300ms"));
  EXPECT_STATUS(pair.sender->broken(), kDeadlineExceeded, "does not answer");
  EXPECT_FALSE(pair.sender->open());
  EXPECT_EQ(pair.sender->poll_fd(), -1);
  EXPECT_EQ(pair.sender->counts().revoked_batches, 2);
  pair.TickReceiver();  // it wakes
  EXPECT_THAT(pair.delivered, IsEmpty());
  EXPECT_FALSE(pair.receiver->open());
  EXPECT_EQ(pair.receiver->counts().revoked_batches, 2);
  EXPECT_EQ(pair.receiver->counts().adopted_from_dead, 0);
  pair.returned.clear();
  for (int client : From0To(20)) EXPECT_EQ(pair.Heard(client), "CLOSED");
}

TEST_F(MigrationTest, WhoJustWokeUpWaitsAnew) {
  MigrationPair pair;
  pair.Add();
  pair.TickSender();
  pair.now += absl::Hours(1);
  EXPECT_EQ(pair.TickSender(), pair.now + AnswerClock::kAnswerTime);
  EXPECT_THAT(pair.returned, IsEmpty());
  pair.TickReceiver();
  pair.TickSender();
  EXPECT_EQ(pair.moved, 1);
}

TEST_F(MigrationTest, AnAcknowledgementThatLiesThereCountsHoweverLateItIsRead) {
  MigrationPair pair;
  pair.AddMany(16);
  pair.TickReceiver();
  pair.AddMany(16);
  pair.now += AnswerClock::kAnswerTime;
  pair.sender->Revoke("the embedder wishes it");
  pair.TickSender();
  EXPECT_EQ(pair.moved, 16);
  EXPECT_THAT(pair.Returns(), SizeIs(16));
  EXPECT_STATUS(pair.sender->broken(), kCancelled, "the embedder wishes it");
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(16));
}

TEST_F(MigrationTest, AfterARevocationEverythingComesBackAtOnce) {
  MigrationPair pair;
  pair.sender->Revoke("enough");
  EXPECT_FALSE(pair.sender->open());
  pair.Add();
  pair.TickSender();
  pair.Add();
  EXPECT_EQ(pair.TickSender(), absl::InfiniteDuration());
  pair.sender->PeerDied();
  pair.sender->Revoke("again");
  pair.TickSender();
  EXPECT_THAT(ReasonsOf(pair), ElementsAre("enough", "enough"));
}

// ---- Deaths.

TEST_F(MigrationTest, AReceiverThatDiesTakesOnlyWhatItHadAcknowledged) {
  MigrationPair pair;
  pair.AddMany(128);
  pair.TickReceiver();  // 5 batches acknowledged, 3 unread: ECONNRESET is on the way
  pair.receiver.reset();
  pair.sender->PeerDied();
  pair.Settle();
  EXPECT_EQ(pair.moved, 80);
  EXPECT_THAT(pair.returned, SizeIs(48));
  EXPECT_STATUS(pair.sender->broken(), kUnavailable, "the receiver hung up");
}

TEST_F(MigrationTest, AReceiverIsDeadThoughAForkedChildOfItHoldsThePair) {
  MigrationPair pair;
  OwnedFd child = Duplicate(pair.receiver->poll_fd());
  pair.AddMany(32);
  pair.TickReceiver();
  pair.receiver.reset();
  pair.AddMany(16);
  pair.TickSender();
  EXPECT_EQ(pair.moved, 32);
  EXPECT_THAT(pair.returned, IsEmpty());
  pair.sender->PeerDied();
  EXPECT_FALSE(pair.sender->open());
  pair.TickSender();
  EXPECT_THAT(pair.returned, SizeIs(16));
  EXPECT_STATUS(pair.sender->broken(), kUnavailable, "the receiver is dead");
}

TEST_F(MigrationTest, NothingIsSentToAReceiverThatIsGone) {
  MigrationPair pair;
  pair.receiver.reset();
  pair.AddMany(16);  // sent by Add itself
  EXPECT_THAT(pair.returned, IsEmpty());
  pair.TickSender();
  EXPECT_EQ(pair.Returns(), From0To(16));
  EXPECT_STATUS(pair.sender->broken(), kUnavailable, "the receiver is gone");
}

TEST_F(MigrationTest, WhatADeadSenderLeftIsAdopted) {
  MigrationPair pair;
  pair.AddMany(128);
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(80));
  pair.AddMany(3);
  pair.sender.reset();
  pair.receiver->PeerDied();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(80));  // its server is behind
  pair.Settle();
  pair.TickReceiver();
  EXPECT_EQ(pair.Delivered(), From0To(128));  // not the three that were never sent
  EXPECT_EQ(pair.receiver->counts().adopted_from_dead, 48);
  EXPECT_FALSE(pair.receiver->open());
  EXPECT_EQ(pair.tickets(), 0);
  for (const Migrant& migrant : pair.delivered) MigrationPair::Greet(migrant, "hello");
  for (int client : From0To(128)) EXPECT_EQ(pair.Heard(client), "hello");
}

TEST_F(MigrationTest, WhatADeadSenderLeftIsAdoptedEvenByOneThatRefuses) {
  MigrationPair pair;
  pair.AddMany(32);
  pair.sender.reset();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(32));
  MigrationPair refusing;
  refusing.AddMany(32);
  refusing.sender.reset();
  refusing.receiver->Refuse();
  refusing.TickReceiver();  // the first batch is refused before it shows that nobody hears it
  EXPECT_THAT(refusing.delivered, SizeIs(16));
}

TEST_F(MigrationTest, AdoptedOnesWaitUntilTheirServerTakesThemUp) {
  MigrationPair pair;
  pair.AddMany(128);
  pair.sender.reset();
  EXPECT_EQ(pair.TickReceiver(), pair.now);  // eight batches, and then the end
  EXPECT_EQ(pair.TickReceiver(), absl::InfiniteDuration());
  EXPECT_THAT(pair.delivered, SizeIs(80));
  EXPECT_EQ(pair.receiver->held(), 48);
  EXPECT_TRUE(pair.receiver->open());
  EXPECT_EQ(pair.receiver->poll_fd(), -1);
  pair.TakeUp();
  pair.TickReceiver();
  EXPECT_EQ(pair.Delivered(), From0To(128));
  EXPECT_FALSE(pair.receiver->open());
}

TEST_F(MigrationTest, WhatASenderHadTakenBackBeforeItDiedIsNot) {
  MigrationPair pair;
  pair.AddMany(32);
  pair.sender->Revoke("enough");
  pair.TickSender();
  pair.sender.reset();
  pair.receiver->PeerDied();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, IsEmpty());
  EXPECT_FALSE(pair.receiver->open());
  EXPECT_EQ(pair.receiver->counts().revoked_batches, 2);
}

TEST_F(MigrationTest, ADeadSendersForkedChildHoldsUpNothing) {
  MigrationPair pair;
  OwnedFd child = Duplicate(pair.sender->poll_fd());
  pair.AddMany(32);
  pair.sender.reset();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(32));
  EXPECT_TRUE(pair.receiver->open());
  pair.receiver->PeerDied();
  pair.TickReceiver();
  EXPECT_FALSE(pair.receiver->open());
}

TEST_F(MigrationTest, NothingLeaksWhereverBothEnd) {
  for (int ticks = 0; ticks < 6; ++ticks) {
    MigrationPair pair;
    for (int i = 0; i < 40; ++i) pair.Add(std::string(10000, 'x'));
    for (int i = 0; i < ticks; ++i) i % 2 == 0 ? pair.TickReceiver() : pair.TickSender();
  }
}

// ---- Callbacks.

TEST_F(MigrationTest, WhatComesBackMayBeTriedAgain) {
  MigrationPair pair;
  int refusals = 3;
  pair.accept = [&](const BatchItem&) {
    return refusals-- > 0 ? absl::NotFoundError("not yet") : absl::OkStatus();
  };
  pair.Add("state");
  while (pair.delivered.empty()) {
    pair.Settle();
    for (auto& one : std::exchange(pair.returned, {})) pair.Add(std::move(one.migrant));
  }
  EXPECT_EQ(pair.delivered[0].state, "state");
}

TEST_F(MigrationTest, CallbacksMayAddRevokeAndTick) {
  MigrationPair pair;
  pair.on_moved = [&](const Migrant&) {
    if (pair.clients.size() < 40) pair.Add();
    if (pair.moved == 30) pair.sender->Revoke("thirty are enough");
    EXPECT_EQ(pair.TickSender(), pair.now);
  };
  pair.on_returned = [&](const Migrant&) {
    if (pair.clients.size() < 45) pair.Add(std::string(kMigrationStateBytesMax + 1, 'x'));
    pair.TickSender();
  };
  pair.on_delivered = [&](const Migrant&) {
    pair.receiver->Taken(1);
    EXPECT_EQ(pair.TickReceiver(), pair.now);
  };
  pair.AddMany(16);
  pair.Settle();
  EXPECT_EQ(pair.moved + static_cast<int>(pair.returned.size()),
            static_cast<int>(pair.clients.size()));
  EXPECT_EQ(pair.tickets(), static_cast<int64_t>(pair.returned.size()));
}

}  // namespace
}  // namespace zdd
