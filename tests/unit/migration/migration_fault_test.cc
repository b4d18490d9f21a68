// What goes wrong: system calls that fail, a peer that speaks garbage, descriptors that run out.
// Whatever it is, each connection is in the end where exactly one of the two serves it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
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
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MigrationFaultTest : public ::testing::Test {
  FdAudit audit_;
};
using SenderFaultTest = MigrationFaultTest;
using ReceiverFaultTest = MigrationFaultTest;

// Each connection is delivered or came back, and none did both.
void ExpectEachOnce(const MigrationPair& pair) {
  std::vector<int> all = pair.Delivered();
  const std::vector<int> returned = pair.Returns();
  all.insert(all.end(), returned.begin(), returned.end());
  std::sort(all.begin(), all.end());
  std::vector<int> each;
  for (const auto& [number, client] : pair.clients) each.push_back(number);
  EXPECT_EQ(all, each);
  EXPECT_EQ(pair.moved, static_cast<int>(pair.delivered.size()));
  EXPECT_EQ(pair.tickets(), static_cast<int64_t>(pair.returned.size()));
}

void Play(MigrationPair* pair) {
  pair->accept = [](const BatchItem& item) {
    return item.listener == "http" ? absl::OkStatus() : absl::NotFoundError(item.listener);
  };
  for (int i = 0; i < 36; ++i)
    pair->Add(std::string(i % 9 == 0 ? 9000 : 10, 'x'), i % 7 == 0 ? "other" : "http");
  pair->Settle();
  pair->Settle();
}

// Counts n up until nothing fires any more.
void Sweep(bool at_sender, Syscall kind, int error, bool persistent) {
  for (int n = 1;; ++n) {
    FaultySyscalls faulty({.kind = kind, .nth = n, .error = error, .persistent = persistent});
    Syscalls& real = Syscalls::Real();
    FdAudit audit;
    MigrationPair pair(SenderLimits(), at_sender ? faulty : real, at_sender ? real : faulty);
    Play(&pair);
    SCOPED_TRACE(absl::StrCat(at_sender ? "sender" : "receiver", ", kind ", static_cast<int>(kind),
                              ", call ", n, ", errno ", error));
    ExpectEachOnce(pair);
    if (::testing::Test::HasFailure() || !faulty.fired()) return;
  }
}

TEST_F(SenderFaultTest, EachFailingCallLeavesEachConnectionWithOneOfTheTwo) {
  for (int error : {EAGAIN, ETOOMANYREFS, ENOBUFS, EPIPE, ECONNRESET, EBADF, EIO, EINTR})
    Sweep(true, Syscall::kSendMsg, error, false);
  for (int error : {ENOMEM, EIO, EINTR, ECONNRESET}) Sweep(true, Syscall::kRecvMsg, error, false);
  for (int error : {EMFILE, ENOMEM}) Sweep(true, Syscall::kMemfdCreate, error, true);
  Sweep(true, Syscall::kMemfdCreate, ENFILE, false);
}

TEST_F(ReceiverFaultTest, EachFailingCallLeavesEachConnectionWithOneOfTheTwo) {
  for (int error : {EAGAIN, ENOBUFS, EPIPE, ECONNRESET, EIO, EINTR})
    Sweep(false, Syscall::kSendMsg, error, false);
  for (int error : {ENOMEM, EIO, EINTR, ECONNRESET}) Sweep(false, Syscall::kRecvMsg, error, false);
}

TEST_F(ReceiverFaultTest, AFailingLookAtAConnectionRefusesThatOne) {
  // One call looks at a TCP connection; the channel was made without any.
  FaultySyscalls faulty({.kind = Syscall::kGetSockOpt, .nth = 4, .error = ENOBUFS});
  MigrationPair pair(SenderLimits(), Syscalls::Real(), faulty);
  pair.AddMany(3);
  pair.Settle();
  EXPECT_THAT(pair.Delivered(), ElementsAre(0, 2));
  EXPECT_THAT(pair.Returns(), ElementsAre(1));
}

TEST_F(SenderFaultTest, WithoutDescriptorsThereIsNoPair) {
  for (Syscall kind : {Syscall::kSocketPair, Syscall::kSetSockOpt}) {
    FaultySyscalls faulty({.kind = kind, .error = EMFILE});
    EXPECT_STATUS(MigrationSender::Create(SenderLimits(), SenderCallbacks(), faulty),
                  kResourceExhausted, "migrate: ");
  }
  EXPECT_STATUS(MigrationReceiver::Create(OwnedFd(), ReceiverCallbacks()), kInvalidArgument,
                "migrate: adopt channel");
}

TEST_F(SenderFaultTest, WhatTheKernelHasNoRoomForIsTriedAgainAfterAMillisecond) {
  for (int error : {EAGAIN, ETOOMANYREFS}) {
    FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = error});
    MigrationPair pair(SenderLimits(), faulty);
    pair.AddMany(16);
    EXPECT_EQ(pair.sender->unacknowledged(), 0);
    pair.AddMany(16);  // asks the kernel no more in this turn
    EXPECT_EQ(faulty.count(), 1);
    pair.TickSender();
    EXPECT_EQ(pair.sender->unacknowledged(), 32);
    EXPECT_THAT(pair.returned, IsEmpty());
  }
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EAGAIN, .persistent = true});
  MigrationPair pair(SenderLimits(), faulty);
  pair.Add();
  EXPECT_EQ(pair.TickSender(), pair.now + MigrationSender::kRetryPeriod);
}

TEST_F(SenderFaultTest, NothingIsTakenBackBeforeTheRevocationIsSent) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 2, .error = EAGAIN, .persistent = true});
  MigrationPair pair(SenderLimits(), faulty);
  pair.AddMany(16);
  pair.sender->Revoke("enough");
  EXPECT_EQ(pair.TickSender(), pair.now + MigrationSender::kRetryPeriod);
  EXPECT_THAT(pair.returned, IsEmpty());
  pair.TickReceiver();
  pair.TickSender();
  EXPECT_EQ(pair.moved, 16);  // acknowledged meanwhile
}

TEST_F(ReceiverFaultTest, AnAcknowledgementThatDoesNotFitMakesNoOwner) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EAGAIN});
  MigrationPair pair(SenderLimits(), Syscalls::Real(), faulty);
  pair.AddMany(16);
  EXPECT_EQ(pair.TickReceiver(), pair.now + MigrationReceiver::kRetryPeriod);
  EXPECT_THAT(pair.delivered, IsEmpty());
  EXPECT_EQ(pair.receiver->held(), 16);
  EXPECT_FALSE(pair.receiver->wants_read());
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(16));
}

TEST_F(ReceiverFaultTest, WhatIsHeldCanStillBeRefused) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EAGAIN});
  MigrationPair pair(SenderLimits(), Syscalls::Real(), faulty);
  pair.AddMany(16);
  pair.TickReceiver();
  pair.receiver->Refuse();
  pair.Settle();
  EXPECT_THAT(pair.returned, SizeIs(16));
  EXPECT_THAT(pair.delivered, IsEmpty());
}

TEST_F(ReceiverFaultTest, WhatIsHeldWhenTheSenderDiesIsAdopted) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EAGAIN, .persistent = true});
  MigrationPair pair(SenderLimits(), Syscalls::Real(), faulty);
  OwnedFd child = Duplicate(pair.sender->poll_fd());  // so that there is no end of file
  pair.AddMany(32);
  pair.TickReceiver();
  EXPECT_EQ(pair.receiver->held(), 16);
  pair.sender.reset();
  pair.receiver->PeerDied();
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, SizeIs(32));
  EXPECT_FALSE(pair.receiver->open());
}

TEST_F(ReceiverFaultTest, WhatIsHeldWhenTheSenderRevokedIsClosed) {
  FaultySyscalls faulty({.kind = Syscall::kSendMsg, .nth = 1, .error = EAGAIN});
  MigrationPair pair(SenderLimits(), Syscalls::Real(), faulty);
  pair.AddMany(32);
  pair.TickReceiver();
  pair.sender->Revoke("enough");
  pair.TickSender();
  EXPECT_THAT(pair.returned, SizeIs(32));
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, IsEmpty());
  EXPECT_EQ(pair.receiver->counts().revoked_batches, 2);
}

// A receiver whose sender is the test itself.
struct RawSender {
  RawSender() {
    raw = Duplicate(pair.sender->poll_fd());
    pair.sender.reset();
  }
  // A batch of one connection with this number.
  ssize_t SendBatch(int no, BatchItem item = MakeBatchItem("http", "h1", {}, "")) {
    SocketPair sockets = TcpPair();
    pair.clients[0] = std::move(sockets.client);
    return SendRaw(raw.get(), Encode(BatchFrame{no, {std::move(item)}}), {sockets.server.get()});
  }
  MigrationPair pair;
  OwnedFd raw;
};

TEST_F(ReceiverFaultTest, WithoutRevocationEndOrDeathItClosesAfterASecond) {
  RawSender sender;
  MigrationPair& pair = sender.pair;
  sender.SendBatch(1);
  shutdown(sender.raw.get(), SHUT_RD);
  EXPECT_EQ(pair.TickReceiver(), pair.now + MigrationReceiver::kUndecidedMax);
  EXPECT_EQ(pair.receiver->held(), 1);
  pair.now += MigrationReceiver::kUndecidedMax;
  pair.TickReceiver();
  EXPECT_THAT(pair.delivered, IsEmpty());
  EXPECT_FALSE(pair.receiver->open());
  EXPECT_EQ(pair.Heard(0), "CLOSED");
}

TEST_F(ReceiverFaultTest, WithTheEndOfTheSenderTheUndecidedIsAdopted) {
  RawSender sender;
  sender.SendBatch(1);
  shutdown(sender.raw.get(), SHUT_RD);
  sender.pair.TickReceiver();
  EXPECT_THAT(sender.pair.delivered, IsEmpty());
  sender.raw.Reset();
  sender.pair.TickReceiver();
  EXPECT_THAT(sender.pair.delivered, SizeIs(1));
}

TEST_F(ReceiverFaultTest, GarbageEndsThePairAndNothingElse) {
  const std::string batch = Encode(BatchFrame{1, {MakeBatchItem("a", "b", {}, "")}});
  for (const std::string& bytes :
       {std::string("x"), std::string("{}\n"), Encode(AckFrame{1, 0, 0}), batch,
        std::string(40000, '[') + "\n", std::string(60000, ' ')}) {
    RawSender sender;
    ASSERT_GT(SendRaw(sender.raw.get(), bytes), 0);
    sender.pair.TickReceiver();
    ASSERT_THAT(sender.pair.garbage, SizeIs(1)) << bytes.substr(0, 40);
    EXPECT_STATUS(sender.pair.garbage[0], kDataLoss, "the sender speaks garbage: ");
    EXPECT_FALSE(sender.pair.receiver->open());
    EXPECT_EQ(sender.pair.receiver->poll_fd(), -1);
    EXPECT_EQ(sender.pair.TickReceiver(), absl::InfiniteDuration());
  }
}

TEST_F(ReceiverFaultTest, BatchesOutOfOrderAreGarbage) {
  RawSender sender;
  sender.SendBatch(1);
  sender.SendBatch(3);
  sender.pair.TickReceiver();
  EXPECT_THAT(sender.pair.delivered, SizeIs(1));  // before the garbage it was the sender's word
  ASSERT_THAT(sender.pair.garbage, SizeIs(1));
  EXPECT_STATUS(sender.pair.garbage[0], kDataLoss, "got batch 3, want 2 while open");
}

TEST_F(ReceiverFaultTest, AfterGarbageTheSenderTakesTheRestHome) {
  MigrationPair pair;
  pair.AddMany(16);
  ASSERT_GT(SendRaw(pair.sender->poll_fd(), "x"), 0);
  pair.AddMany(16);
  pair.TickReceiver();
  pair.TickSender();
  EXPECT_EQ(pair.moved, 16);
  EXPECT_THAT(pair.returned, SizeIs(16));
}

TEST_F(ReceiverFaultTest, AStateThatIsNoSealedMemfdIsRefused) {
  RawSender sender;
  OwnedFd memfd(memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(memfd.get(), 10000), 0);
  SocketPair sockets = TcpPair();
  const BatchItem item = MakeBatchItem("http", "h1", {}, std::string(10000, 'x'));
  SendRaw(sender.raw.get(), Encode(BatchFrame{1, {item}}), {sockets.server.get(), memfd.get()});
  sender.pair.TickReceiver();
  EXPECT_THAT(sender.pair.delivered, IsEmpty());
  EXPECT_EQ(sender.pair.receiver->counts().refused, 1);
  EXPECT_TRUE(sender.pair.receiver->open());
}

// As many descriptors as are open now, and some.
class FdLimit {
 public:
  explicit FdLimit(int more) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit limit = {static_cast<rlim_t>(OwnedFd(dup(0)).get() + more), before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~FdLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

TEST_F(ReceiverFaultTest, ABatchForWhichThereIsNoRoomComesBackWhole) {
  MigrationPair pair;
  pair.AddMany(16);
  {
    FdLimit limit(5);
    pair.TickReceiver();
  }
  EXPECT_THAT(pair.delivered, IsEmpty());
  EXPECT_EQ(pair.receiver->counts().truncated_batches, 1);
  EXPECT_THAT(pair.garbage, IsEmpty());
  pair.TickSender();
  EXPECT_THAT(pair.returned, SizeIs(16));
  EXPECT_TRUE(pair.sender->open());
  // So little room is left there that one at a time is sent, until an answer tells of more.
  for (auto& one : std::exchange(pair.returned, {})) pair.Add(std::move(one.migrant));
  EXPECT_EQ(pair.sender->unacknowledged(), 1);
  pair.now += absl::Seconds(1);
  pair.Settle();
  EXPECT_THAT(pair.delivered, SizeIs(16));
}

TEST_F(SenderFaultTest, SendsNoMoreDescriptorsThanTheReceiverCanTake) {
  MigrationPair pair({.peer_free_fds = MigrationSender::kFdReserve + 5});
  pair.Add(std::string(9000, 'x'));  // two descriptors
  pair.AddMany(15);
  EXPECT_EQ(pair.sender->unacknowledged(), 4);
  pair.TickSender();
  EXPECT_EQ(pair.sender->unacknowledged(), 4);
  pair.TickReceiver();
  pair.TickSender();
  EXPECT_EQ(pair.moved, 4);
  EXPECT_EQ(pair.sender->unacknowledged(), 12);
  MigrationPair none({.peer_free_fds = 0});
  none.AddMany(16);
  EXPECT_EQ(none.sender->unacknowledged(), 1);
}

// A sender whose receiver is the test itself, with two batches on their way.
struct RawReceiver {
  RawReceiver() {
    raw = Duplicate(pair.receiver->poll_fd());
    pair.receiver.reset();
    pair.AddMany(20);
    pair.TickSender();
  }
  MigrationPair pair;
  OwnedFd raw;
};

TEST_F(SenderFaultTest, GarbageBringsEverythingHome) {
  for (const std::string& bytes :
       {std::string("x"), Encode(RevokedFrame{}), Encode(AckFrame{2, 0, 9}),
        Encode(AckFrame{3, 0, 9}), Encode(AckFrame{1, 0x10000, 9}), std::string(60000, ' '),
        std::string("{\"type\":\"ack\",\"no\":1,\"taken\":\"-1\",\"free_fds\":0}\n")}) {
    RawReceiver receiver;
    ASSERT_GT(SendRaw(receiver.raw.get(), bytes), 0);
    receiver.pair.TickSender();
    EXPECT_THAT(receiver.pair.returned, SizeIs(20)) << bytes.substr(0, 40);
    EXPECT_STATUS(receiver.pair.sender->broken(), kDataLoss, "the receiver speaks garbage: ");
    EXPECT_EQ(receiver.pair.sender->counts().garbage, 1);
    EXPECT_FALSE(receiver.pair.sender->open());
  }
}

TEST_F(SenderFaultTest, AnAcknowledgementWithDescriptorsIsGarbage) {
  RawReceiver receiver;
  ASSERT_GT(SendRaw(receiver.raw.get(), Encode(AckFrame{1, 0xffff, 9}), {0}), 0);
  receiver.pair.TickSender();
  EXPECT_THAT(receiver.pair.returned, SizeIs(20));
}

TEST_F(SenderFaultTest, AFloodOfGarbageEnds) {
  RawReceiver receiver;
  int sent = 0;
  while (SendRaw(receiver.raw.get(), "x") > 0) ++sent;
  EXPECT_GT(sent, 100);
  EXPECT_EQ(receiver.pair.TickSender(), receiver.pair.now);
  receiver.pair.Settle();
  EXPECT_THAT(receiver.pair.returned, SizeIs(20));
  EXPECT_EQ(receiver.pair.sender->counts().garbage, sent);
}

TEST_F(SenderFaultTest, AnAcknowledgementBehindGarbageStillCounts) {
  RawReceiver receiver;
  SendRaw(receiver.raw.get(), "x");
  SendRaw(receiver.raw.get(), Encode(AckFrame{1, 0x8001, 9}));
  receiver.pair.TickSender();
  EXPECT_EQ(receiver.pair.moved, 2);
  EXPECT_THAT(receiver.pair.returned, SizeIs(18));
}

}  // namespace
}  // namespace zdd
