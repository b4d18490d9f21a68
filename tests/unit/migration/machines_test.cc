// The two machines and the clock, one rule a test. All that they can do together is explored by
// tests/model.
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "zdd/migration/answer_clock.h"
#include "zdd/migration/receiver_machine.h"
#include "zdd/migration/sender_machine.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using SE = SenderEvent;
using SF = SenderEffect;
using RE = ReceiverEvent;
using RF = ReceiverEffect;

SenderMachine WithSent(int count) {
  SenderMachine machine;
  for (int i = 0; i < count; ++i) machine.Sent();
  return machine;
}

TEST(SenderMachine, SendsWhatTheWindowAllows) {
  SenderMachine machine = WithSent(7);
  EXPECT_TRUE(machine.may_send());
  EXPECT_EQ(machine.next_no(), 8);
  machine.Sent();
  EXPECT_FALSE(machine.may_send());
  EXPECT_THAT(machine.OnAck(1), ElementsAre(SF::kComplete));
  EXPECT_TRUE(machine.may_send());
}

TEST(SenderMachine, AcknowledgementsComeInOrder) {
  SenderMachine machine = WithSent(2);
  EXPECT_THAT(machine.OnAck(2), ElementsAre(SF::kSendRevoked));
  EXPECT_EQ(machine.state(), SenderState::kRevoking);
  SenderMachine idle;
  EXPECT_THAT(idle.OnAck(1), ElementsAre(SF::kSendRevoked));
}

TEST(SenderMachine, RevokesBeforeItShutsOutAndReadsToTheEndBeforeItTakesBack) {
  for (SE reason : {SE::kOverdue, SE::kGarbage, SE::kRevokeAsked, SE::kPeerGone}) {
    SenderMachine machine = WithSent(3);
    EXPECT_THAT(machine.OnEvent(reason), ElementsAre(SF::kSendRevoked));
    EXPECT_FALSE(machine.may_send());
    EXPECT_THAT(machine.OnAck(1), ElementsAre(SF::kComplete));
    EXPECT_THAT(machine.OnEvent(SE::kOverdue), IsEmpty());
    EXPECT_THAT(machine.OnEvent(SE::kRevokedSent), ElementsAre(SF::kShutRead));
    EXPECT_THAT(machine.OnAck(2), ElementsAre(SF::kComplete));
    EXPECT_THAT(machine.OnEvent(SE::kGarbage), IsEmpty());
    EXPECT_THAT(machine.OnEvent(SE::kPeerDead), IsEmpty());
    EXPECT_THAT(machine.OnEvent(SE::kEndOfFile), ElementsAre(SF::kTakeBack));
    EXPECT_THAT(machine.OnAck(3), IsEmpty());
    EXPECT_THAT(machine.OnEvent(SE::kEndOfFile), IsEmpty());
  }
}

TEST(SenderMachine, ADeadReceiversAcknowledgementsAreReadFirst) {
  SenderMachine machine = WithSent(2);
  EXPECT_THAT(machine.OnEvent(SE::kPeerDead), ElementsAre(SF::kShutRead));
  EXPECT_THAT(machine.OnAck(1), ElementsAre(SF::kComplete));
  EXPECT_THAT(machine.OnEvent(SE::kEndOfFile), ElementsAre(SF::kTakeBack));
}

TEST(SenderMachine, ARevocationThatNobodyCanReadIsAsGoodAsSent) {
  SenderMachine machine = WithSent(1);
  machine.OnEvent(SE::kOverdue);
  EXPECT_THAT(machine.OnEvent(SE::kPeerGone), ElementsAre(SF::kShutRead));
}

ReceiverMachine WithHeld(int taken) {
  ReceiverMachine machine;
  EXPECT_THAT(machine.OnBatch(1, taken), ElementsAre(RF::kSendAck));
  return machine;
}

TEST(ReceiverMachine, OwnsAndDeliversOnceTheAcknowledgementIsSent) {
  ReceiverMachine machine = WithHeld(16);
  EXPECT_FALSE(machine.wants_read());
  EXPECT_THAT(machine.OnEvent(RE::kAckSent), ElementsAre(RF::kDeliver));
  EXPECT_EQ(machine.undelivered(), 16);
  EXPECT_TRUE(machine.wants_read());
}

TEST(ReceiverMachine, ReadsNothingWhileItsServerIsBehind) {
  ReceiverMachine machine = WithHeld(64);
  machine.OnEvent(RE::kAckSent);
  EXPECT_TRUE(machine.wants_read());
  machine.OnBatch(2, 1);
  machine.OnEvent(RE::kAckSent);
  EXPECT_FALSE(machine.wants_read());
  machine.Taken(1);
  EXPECT_TRUE(machine.wants_read());
}

TEST(ReceiverMachine, OwnsNothingWhileTheAcknowledgementIsBlocked) {
  ReceiverMachine machine = WithHeld(16);
  EXPECT_THAT(machine.OnEvent(RE::kAckBlocked), IsEmpty());
  EXPECT_TRUE(machine.acking());
  EXPECT_EQ(machine.undelivered(), 0);
  EXPECT_THAT(machine.OnEvent(RE::kAckSent), ElementsAre(RF::kDeliver));
}

TEST(ReceiverMachine, ClosesWhatIsHeldWhenItFindsARevocation) {
  ReceiverMachine machine = WithHeld(16);
  EXPECT_THAT(machine.OnEvent(RE::kAckFailed), IsEmpty());
  EXPECT_TRUE(machine.wants_read());
  EXPECT_THAT(machine.OnBatch(2, 16), IsEmpty());
  EXPECT_THAT(machine.OnEvent(RE::kNothingMore), IsEmpty());
  EXPECT_THAT(machine.OnEvent(RE::kRevoked), ElementsAre(RF::kCloseHeld, RF::kClose));
  EXPECT_THAT(machine.OnEvent(RE::kEndOfFile), IsEmpty());
}

TEST(ReceiverMachine, AdoptsFromTheDeadAsItsServerTakesThemUp) {
  ReceiverMachine machine = WithHeld(64);
  machine.OnEvent(RE::kAckFailed);
  machine.OnBatch(2, 10);
  machine.OnBatch(3, 10);
  EXPECT_THAT(machine.OnEvent(RE::kEndOfFile),
              ElementsAre(RF::kClose, RF::kAdoptHeld, RF::kDeliver, RF::kDeliver));
  EXPECT_TRUE(machine.adopting());
  EXPECT_THAT(machine.OnEvent(RE::kRevoked), IsEmpty());
  EXPECT_THAT(machine.OnEvent(RE::kTurn), IsEmpty());
  for (int i = 0; i < 10; ++i) machine.Taken(1);
  EXPECT_THAT(machine.OnEvent(RE::kTurn), ElementsAre(RF::kDeliver));
  EXPECT_EQ(machine.state(), ReceiverState::kClosed);
}

TEST(ReceiverMachine, ADeathCountsOnceEverythingIsRead) {
  ReceiverMachine machine = WithHeld(4);
  machine.OnEvent(RE::kAckBlocked);
  EXPECT_THAT(machine.OnEvent(RE::kPeerDead), IsEmpty());
  EXPECT_TRUE(machine.wants_read());
  EXPECT_THAT(machine.OnEvent(RE::kNothingMore),
              ElementsAre(RF::kClose, RF::kAdoptHeld, RF::kDeliver));
  ReceiverMachine idle;
  idle.OnEvent(RE::kPeerDead);
  EXPECT_THAT(idle.OnEvent(RE::kNothingMore), ElementsAre(RF::kClose));
}

TEST(ReceiverMachine, WithoutProofOfEitherItClosesInTheEnd) {
  ReceiverMachine machine = WithHeld(4);
  machine.OnEvent(RE::kAckFailed);
  machine.OnEvent(RE::kNothingMore);
  EXPECT_THAT(machine.OnEvent(RE::kWaited), ElementsAre(RF::kCloseHeld, RF::kClose));
}

TEST(ReceiverMachine, RefusesWhatItHoldsAndReadsOn) {
  ReceiverMachine machine = WithHeld(4);
  EXPECT_THAT(machine.OnEvent(RE::kRefuse), ElementsAre(RF::kRefuseHeld));
  EXPECT_TRUE(machine.refuses());
  EXPECT_THAT(machine.OnEvent(RE::kAckSent), ElementsAre(RF::kDeliver));
  EXPECT_EQ(machine.undelivered(), 0);
}

TEST(ReceiverMachine, RefusesEvenWhileItsServerIsBehind) {
  ReceiverMachine machine = WithHeld(64);
  machine.OnEvent(RE::kAckSent);
  machine.OnBatch(2, 64);
  machine.OnEvent(RE::kAckSent);
  EXPECT_FALSE(machine.wants_read());
  machine.OnEvent(RE::kRefuse);
  EXPECT_TRUE(machine.wants_read());
}

TEST(ReceiverMachine, WhatADeadSenderLeftIsNotRefused) {
  ReceiverMachine machine;
  machine.OnEvent(RE::kRefuse);
  EXPECT_TRUE(machine.refuses());
  machine.OnEvent(RE::kPeerDead);
  EXPECT_FALSE(machine.refuses());
}

TEST(ReceiverMachine, ABatchOutOfOrderIsGarbage) {
  ReceiverMachine machine;
  EXPECT_FALSE(machine.Expects(2));
  EXPECT_THAT(machine.OnBatch(2, 1), ElementsAre(RF::kCloseHeld, RF::kClose));
  ReceiverMachine ending = WithHeld(1);
  ending.OnEvent(RE::kAckFailed);
  for (int no = 2; no <= kBatchesUnacknowledgedMax; ++no) ending.OnBatch(no, 1);
  EXPECT_FALSE(ending.Expects(kBatchesUnacknowledgedMax + 1));
}

TEST(AnswerClock, AnAnswerIsOverdueAfter300Milliseconds) {
  AnswerClock clock;
  EXPECT_EQ(clock.next(), absl::InfiniteDuration());
  EXPECT_FALSE(clock.Overdue(absl::Hours(1)));
  clock.Sent(absl::Milliseconds(1000));
  clock.Sent(absl::Milliseconds(1100));
  EXPECT_EQ(clock.next(), absl::Milliseconds(1300));
  EXPECT_FALSE(clock.Overdue(absl::Milliseconds(1299)));
  EXPECT_TRUE(clock.Overdue(absl::Milliseconds(1300)));
  clock.Acknowledged();
  EXPECT_EQ(clock.next(), absl::Milliseconds(1400));
  clock.Acknowledged();
  EXPECT_EQ(clock.next(), absl::InfiniteDuration());
}

TEST(AnswerClock, WhoJustWokeUpCountsAnewOnce) {
  AnswerClock clock;
  clock.Sent(absl::Milliseconds(1000));
  EXPECT_FALSE(clock.Overdue(absl::Seconds(60)));
  EXPECT_EQ(clock.next(), absl::Milliseconds(60300));
  EXPECT_TRUE(clock.Overdue(absl::Seconds(120)));
}

}  // namespace
}  // namespace zdd
