#include "tests/model/migration_model.h"

#include <iostream>
#include <string>

#include "gtest/gtest.h"

namespace zdd::migration_model {
namespace {

// A fault: a process is killed or frozen, says garbage, finds a queue full; the receiver refuses
// one or all; the sender is asked to revoke. A batch may be overdue at any time, for nothing.
Finding Look(const Options& options, int faults_max) {
  const Finding finding = Explore(options, faults_max);
  std::cout << finding.states << " states, " << finding.steps << " steps, " << options.connections
            << " connections, up to " << faults_max << " faults\n"
            << finding.trace;
  return finding;
}

void ExpectSound(int connections, int faults_max) {
  const Finding finding = Look({.connections = connections}, faults_max);
  EXPECT_EQ(finding.wrong, "") << finding.trace;
}

TEST(Migration, KeepsItsInvariantsWithOneConnectionUnderSixFaults) { ExpectSound(1, 6); }
TEST(Migration, KeepsThemWithTwoUnderFiveFaults) { ExpectSound(2, 5); }
TEST(Migration, KeepsThemWithThreeUnderFourFaults) { ExpectSound(3, 4); }

// ---- That the model sees what it is there for: each rule that is taken away shows.

std::string Without(Mutant rule, int steps_max = 14) {
  const Finding finding = Look({.connections = 1, .mutant = rule}, 3);
  EXPECT_LE(finding.trace_steps, steps_max);
  return finding.wrong;
}

TEST(MigrationMutant, ACopyThatIsClosedWhenItIsSentIsLost) {
  EXPECT_EQ(Without(Mutant::kClosedWhenSent), "nobody serves a connection");
}
TEST(MigrationMutant, WhatIsTouchedBeforeTheAcknowledgementIsNotOwned) {
  EXPECT_EQ(Without(Mutant::kTouchedBeforeAck), "the receiver serves what it does not own");
}
TEST(MigrationMutant, WhatIsTakenBackByATimerMayBeOwned) {
  EXPECT_EQ(Without(Mutant::kTakenBackByTimer), "the sender takes back what the receiver owns");
}
TEST(MigrationMutant, ADeathBeforeTheAcknowledgementsTakesBackWhatWasOwned) {
  EXPECT_EQ(Without(Mutant::kDeathBeforeAcks), "the sender takes back what the receiver owns");
}
TEST(MigrationMutant, AFailedAcknowledgementMakesNoOwner) {
  EXPECT_EQ(Without(Mutant::kFailedAckIgnored), "the receiver serves what it does not own");
}
TEST(MigrationMutant, WithoutRevokedTheUsedIsAdopted) {
  EXPECT_EQ(Without(Mutant::kRevokedNotSaid), "adopted from a sender that lives");
}
TEST(MigrationMutant, ARevokedThatDidNotFitWasNotSaid) {
  EXPECT_EQ(Without(Mutant::kBlockedRevokedIsSaid), "adopted from a sender that lives");
}
TEST(MigrationMutant, WhatIsRefusedIsClosedBeforeThat) {
  EXPECT_EQ(Without(Mutant::kRefusedClosedLate), "what was refused has a copy at the receiver");
}
TEST(MigrationMutant, WhoCannotAcknowledgeWaitsForTheProof) {
  EXPECT_EQ(Without(Mutant::kFailedAckCloses), "nobody serves a connection");
}

}  // namespace
}  // namespace zdd::migration_model
