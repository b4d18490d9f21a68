// Live connections move to the successor while their clients use them: nobody has to connect again,
// and whoever dies or hangs in the middle takes only what was his.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"

namespace zdd {
namespace {

std::unique_ptr<LoadClient> Load(Lineage* lineage, std::vector<LoadGroup> groups) {
  LoadOptions options;
  options.address = lineage->Address();
  options.groups = std::move(groups);
  options.timeout = absl::Seconds(15);
  auto load = LoadClient::Start(options);
  EXPECT_TRUE(load.ok()) << load.status();
  EXPECT_TRUE((*load)->AwaitAllGroups(Lineage::kLong));
  return *std::move(load);
}

// The number that stands behind the first `key` of a text.
int NumberAfter(const std::string& text, const std::string& key) {
  const size_t at = text.find(key);
  EXPECT_NE(at, std::string::npos) << text;
  return at == std::string::npos ? -1 : std::atoi(text.c_str() + at + key.size());
}

constexpr int kClients = 16 + 40;
std::vector<LoadGroup> KeepAlive() {
  return {{.kind = LoadKind::kKeepAlive, .connections = 16, .rate = 300},
          {.kind = LoadKind::kKeepAlive, .connections = 40, .think = absl::Milliseconds(50)}};
}

// As many, and each has had its answer once all groups have.
std::vector<LoadGroup> EachAlone() {
  return std::vector<LoadGroup>(
      kClients, {.kind = LoadKind::kKeepAlive, .connections = 1, .think = absl::Milliseconds(50)});
}

class MigrationTest : public ::testing::TestWithParam<std::string> {};

TEST_P(MigrationTest, NobodyConnectsAgainOverFiveGenerations) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "mode " + GetParam(), "format test/1",
                   "grace_ms 20000", "spread_ms 5000", "deadline_ms 60000", "standby_ms 50"});
  pid_t owner = lineage.StartFirst({"version v1"});
  auto load = Load(&lineage, KeepAlive());
  for (int i = 2; i <= 6; ++i) {
    lineage.Script({absl::StrCat("version v", i)});
    lineage.Signal(owner, SIGUSR2);
    lineage.Await("upgrade.promoted", owner);
    const TestEvent ended = lineage.Await("test.ended", owner);
    EXPECT_EQ(lineage.AwaitExit(owner), 0) << ended.message;
    owner = lineage.Await("migration.received").pid;
    EXPECT_TRUE(load->AwaitVersion(absl::StrCat("v", i), Lineage::kLong)) << lineage.History();
  }
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << lineage.History();
}

class MovingTest : public ::testing::Test {
 protected:
  // The first generation, which its clients use, and what its successor does.
  void Start(const std::vector<std::string>& first, const std::vector<std::string>& second) {
    owner_ = lineage_.StartFirst(first);
    load_ = Load(&lineage_, KeepAlive());
    lineage_.Script(second);
    lineage_.Signal(owner_, SIGUSR2);
  }
  void ExpectNothingLost() {
    const LoadReport report = load_->Stop();
    EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage_.History();
  }

  Lineage lineage_{{"listen http tcp://127.0.0.1:0", "standby_ms 50", "spread_ms 300",
                    "grace_ms 700", "deadline_ms 10000"}};
  pid_t owner_ = 0;
  std::unique_ptr<LoadClient> load_;
};

TEST_F(MovingTest, WhatTheSuccessorCannotReadSaysGoodbye) {
  Start({"version v1", "format test/1"}, {"version v2", "format test/2"});
  lineage_.Await("test.ended", owner_);
  EXPECT_FALSE(lineage_.Saw("migration.began", owner_));
  EXPECT_TRUE(load_->AwaitVersion("v2", Lineage::kLong));
  // A version that reads what the one before it wrote.
  lineage_.Await("owner", owner_);
  const pid_t second = lineage_.Await("owner").pid;
  lineage_.Script({"version v3", "format test/3", "format test/2"});
  lineage_.Signal(second, SIGUSR2);
  lineage_.Await("migration.adopted");
  lineage_.Await("test.ended", second);
  ExpectNothingLost();
}

TEST_F(MovingTest, AFrozenSuccessorTakesNothingThatItHasNotAcknowledged) {
  Start({"version v1", "format test/1"},
        {"version v2", "format test/1", "at migration.adopted stop_process"});
  const pid_t second = lineage_.Await("migration.adopted").pid;
  lineage_.Await("migration.paused", owner_);
  lineage_.Signal(second, SIGCONT);
  lineage_.Await("test.ended", owner_);
  EXPECT_EQ(lineage_.AwaitExit(owner_), 0);
  // Those that came back move with the next pair.
  const LoadReport report = load_->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage_.History();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << lineage_.History();
}

TEST_F(MovingTest, AFrozenPredecessorGoesOnWhenItWakes) {
  Start({"version v1", "format test/1", "at migration.began stop_process"},
        {"version v2", "format test/1"});
  lineage_.Await("migration.began", owner_);
  lineage_.AwaitStopped(owner_);
  lineage_.Signal(owner_, SIGCONT);
  lineage_.Await("test.ended", owner_);
  EXPECT_EQ(lineage_.AwaitExit(owner_), 0);
  ExpectNothingLost();
}

// They move while the successor stands by, and home again, as often as it is tried.
TEST_P(MigrationTest, AStandbyWithAllTheTrafficIsTakenBack) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "mode " + GetParam(), "format test/1",
                   "move_in_standby", "grace_ms 20000", "spread_ms 5000", "deadline_ms 60000",
                   "standby_ms 60000"});
  const pid_t owner = lineage.StartFirst({"version v1"});
  auto load = Load(&lineage, EachAlone());
  for (int i = 2; i <= 5; ++i) {
    lineage.Script({absl::StrCat("version v", i)});
    lineage.Signal(owner, SIGUSR2);
    lineage.Await("phase.standby", owner);
    pid_t successor = 0;
    for (int client = 0; client < kClients; ++client)
      successor = lineage.Await("migration.adopted").pid;
    ASSERT_NE(successor, owner);
    lineage.Signal(successor, SIGTERM);
    for (int client = 0; client < kClients; ++client) lineage.Await("migration.adopted", owner);
    lineage.AwaitExit(successor);
    lineage.Await("phase.serving", owner);
  }
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << lineage.History();
}

TEST_P(MigrationTest, WhatCameBackInStandbyMovesAfterTheCommit) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "mode " + GetParam(), "format test/1",
                   "move_in_standby", "grace_ms 20000", "spread_ms 5000", "deadline_ms 60000",
                   "standby_ms 700", "silence_ms 20000"});
  const pid_t owner = lineage.StartFirst({"version v1"});
  auto load = Load(&lineage, KeepAlive());
  lineage.Script({"version v2", "at migration.adopted stop_process"});
  lineage.Signal(owner, SIGUSR2);
  const pid_t second = lineage.Await("migration.adopted").pid;
  lineage.Await("migration.paused", owner);
  lineage.Signal(second, SIGCONT);
  lineage.Await("test.ended", owner);
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << lineage.History();
}

TEST_P(MigrationTest, AStandbyWithAllTheTrafficIsCommitted) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "mode " + GetParam(), "format test/1",
                   "move_in_standby", "grace_ms 20000", "spread_ms 5000", "deadline_ms 60000",
                   "standby_ms 300"});
  pid_t owner = lineage.StartFirst({"version v1"});
  auto load = Load(&lineage, KeepAlive());
  for (int i = 2; i <= 4; ++i) {
    lineage.Script({absl::StrCat("version v", i)});
    lineage.Signal(owner, SIGUSR2);
    lineage.Await("test.ended", owner);
    const std::string history = lineage.History();
    EXPECT_LT(history.find(absl::StrCat(owner, " migration.began")),
              history.find(absl::StrCat(owner, " upgrade.promoted")));
    owner = lineage.Await("migration.received").pid;
  }
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << lineage.History();
}

// A successor to which all move while it stands by, and which meets its end there.
class TrialTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& first, const std::vector<std::string>& second) {
    owner_ = lineage_.StartFirst(first);
    load_ = Load(&lineage_, EachAlone());
    lineage_.Script(second);
    lineage_.Signal(owner_, SIGUSR2);
  }
  // At most so many connections have each cost the request in their hands.
  void ExpectLostAtMost(int connections) {
    const LoadGroupReport sum = load_->Stop().Sum();
    EXPECT_LE(sum.lost(), connections) << lineage_.History();
    EXPECT_EQ(sum.count(LoadOutcome::kRefused), 0);
    EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0);
    EXPECT_EQ(sum.count(LoadOutcome::kWrong), 0);
  }

  Lineage lineage_{{"listen http tcp://127.0.0.1:0", "standby_ms 60000", "move_in_standby",
                    "spread_ms 300", "grace_ms 700", "deadline_ms 4000"}};
  pid_t owner_ = 0;
  std::unique_ptr<LoadClient> load_;
};

TEST_F(TrialTest, ADeadSuccessorTakesWithItWhatItHad) {
  Start({"version v1", "format test/1"},
        {"version v2", "format test/1", "at migration.adopted kill"});
  const std::string ended = lineage_.Await("migration.ended", owner_).message;
  lineage_.Await("phase.serving", owner_);
  const int moved = NumberAfter(ended, "(");
  EXPECT_LT(moved, kClients) << ended;
  ExpectLostAtMost(moved);
}

TEST_F(TrialTest, AFrozenSuccessorIsOverruledAndTakesWithItWhatItHad) {
  Start({"version v1", "format test/1"},
        {"version v2", "format test/1", "at migration.adopted stop_process"});
  lineage_.Await("migration.paused", owner_);
  const std::string ended = lineage_.Await("migration.ended", owner_).message;
  lineage_.Await("handoff.killed", owner_);
  lineage_.Await("phase.serving", owner_);
  const int moved = NumberAfter(ended, "(");
  EXPECT_LT(moved, kClients) << ended;
  ExpectLostAtMost(moved);
}

TEST_F(TrialTest, ADeadPredecessorTakesWithItWhatItStillHad) {
  Start({"version v1", "format test/1"}, {"version v2", "format test/1"});
  const pid_t second = lineage_.Await("migration.adopted").pid;
  lineage_.Signal(owner_, SIGKILL);
  lineage_.Await("owner", second);
  const int taken = NumberAfter(lineage_.Await("migration.received", second).message, "");
  EXPECT_GT(taken, 0);
  ExpectLostAtMost(kClients - taken);
}

TEST_F(TrialTest, AFrozenPredecessorIsOverruledAndMovesTheRestWhenItWakes) {
  Start({"version v1", "format test/1", "at migration.began stop_process"},
        {"version v2", "format test/1"});
  lineage_.Await("owner", owner_);
  const pid_t second = lineage_.Await("owner").pid;
  EXPECT_NE(second, owner_);
  lineage_.Signal(owner_, SIGCONT);
  lineage_.Await("test.ended", owner_);
  EXPECT_EQ(lineage_.AwaitExit(owner_), 0);
  ExpectLostAtMost(0);
}

// What could not come home does not go before the commit.
TEST_F(TrialTest, WhatThePredecessorCouldNotReadWaitsForTheCommit) {
  Start({"version v1", "format test/1"}, {"version v2", "format test/2", "format test/1"});
  const pid_t second = lineage_.Await("phase.accepting").pid;
  lineage_.Await("phase.standby", owner_);
  EXPECT_FALSE(lineage_.Saw("migration.began", owner_));
  lineage_.Signal(second, SIGTERM);
  lineage_.Await("phase.serving", owner_);
  EXPECT_FALSE(lineage_.Saw("migration.began", owner_));
  ExpectLostAtMost(0);
}

// A successor that stands by and gives up; the clients are its own.
class ComingHomeTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& first, const std::vector<std::string>& second) {
    owner_ = lineage_.StartFirst(first);
    lineage_.Script(second);
    lineage_.Signal(owner_, SIGUSR2);
    lineage_.Await("phase.standby", owner_);
    second_ = lineage_.Await("phase.accepting").pid;
    load_ = Load(&lineage_, EachAlone());
    lineage_.Signal(second_, SIGTERM);
  }
  void ExpectNothingLost() {
    EXPECT_TRUE(load_->AwaitVersion("v1", Lineage::kLong));
    const LoadReport report = load_->Stop();
    EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage_.History();
  }

  Lineage lineage_{{"listen http tcp://127.0.0.1:0", "standby_ms 60000", "silence_ms 20000",
                    "spread_ms 300", "grace_ms 700", "deadline_ms 4000"}};
  pid_t owner_ = 0;
  pid_t second_ = 0;
  std::unique_ptr<LoadClient> load_;
};

TEST_F(ComingHomeTest, AFrozenPredecessorTakesNothingThatItHasNotAcknowledged) {
  Start({"version v1", "format test/1", "at migration.adopted stop_process"},
        {"version v2", "format test/1"});
  lineage_.Await("migration.adopted", owner_);
  lineage_.Await("migration.paused", second_);
  lineage_.Signal(owner_, SIGCONT);
  lineage_.AwaitExit(second_);
  lineage_.Await("phase.serving", owner_);
  ExpectNothingLost();
}

TEST_F(ComingHomeTest, AFrozenSuccessorThatIsKilledLosesOnlyWhatItHas) {
  Start({"version v1", "format test/1"},
        {"version v2", "format test/1", "at migration.began stop_process"});
  lineage_.Await("handoff.killed", owner_);
  lineage_.AwaitExit(second_);
  const std::string received = lineage_.Await("migration.received", owner_).message;
  EXPECT_TRUE(load_->AwaitVersion("v1", Lineage::kLong));
  const LoadGroupReport sum = load_->Stop().Sum();
  EXPECT_LE(sum.lost(), kClients - NumberAfter(received, "")) << received << lineage_.History();
  EXPECT_EQ(sum.count(LoadOutcome::kRefused), 0);
  EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0);
  EXPECT_EQ(sum.count(LoadOutcome::kWrong), 0);
}

// In another format they say goodbye, as ever.
TEST_F(ComingHomeTest, WhatThePredecessorCannotReadSaysGoodbye) {
  Start({"version v1", "format test/1"}, {"version v2", "format test/2", "format test/1"});
  lineage_.AwaitExit(second_);
  EXPECT_FALSE(lineage_.Saw("migration.began"));
  ExpectNothingLost();
}

// Nobody is left to take them, so they are served here until their goodbyes.
TEST_F(MovingTest, WhatADeadSuccessorHadNotTakenIsFinishedHere) {
  Start({"version v1", "format test/1"},
        {"version v2", "format test/1", "at migration.adopted kill"});
  lineage_.Await("migration.ended", owner_);
  const std::string ended = lineage_.Await("test.ended", owner_).message;
  EXPECT_EQ(lineage_.AwaitExit(owner_), 0);
  const LoadGroupReport sum = load_->Stop().Sum();
  // Each connection that the dead one had taken may cost the request in its hands. Whoever says
  // goodbye here finds nobody to connect to.
  const int taken = NumberAfter(ended, "\"moved\": ");
  EXPECT_LT(taken, kClients) << ended;
  EXPECT_LE(sum.lost() - sum.count(LoadOutcome::kRefused), taken) << lineage_.History();
  EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0);
  EXPECT_EQ(sum.count(LoadOutcome::kWrong), 0);
}

// A dead predecessor's connections that it had sent are adopted, the others died with it.
TEST_F(MovingTest, ADeadPredecessorLosesOnlyWhatItHad) {
  Start({"version v1", "format test/1"}, {"version v2", "format test/1"});
  const pid_t second = lineage_.Await("migration.adopted").pid;
  lineage_.Signal(owner_, SIGKILL);
  lineage_.AwaitExit(owner_);
  const std::string received = lineage_.Await("migration.received", second).message;
  EXPECT_TRUE(load_->AwaitVersion("v2", Lineage::kLong));
  const LoadGroupReport sum = load_->Stop().Sum();
  const int taken = NumberAfter(received, "");
  EXPECT_GT(taken, 0) << received;
  EXPECT_LE(sum.lost(), kClients - taken) << received << lineage_.History();
  EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0);
  EXPECT_EQ(sum.count(LoadOutcome::kRefused), 0);
  EXPECT_TRUE(lineage_.Alive(second));
}

// Those who came while the successor stood by are its own; it gives up, and they notice nothing.
TEST_P(MigrationTest, ASuccessorThatLeavesBringsItsConnectionsHome) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "mode " + GetParam(), "format test/1",
                   "grace_ms 20000", "spread_ms 5000", "deadline_ms 60000", "standby_ms 60000"});
  const pid_t owner = lineage.StartFirst({"version v1"});
  for (int i = 2; i <= 4; ++i) {
    lineage.Script({absl::StrCat("version v", i)});
    lineage.Signal(owner, SIGUSR2);
    lineage.Await("phase.standby", owner);
    const pid_t successor = lineage.Await("phase.accepting").pid;
    auto load = Load(&lineage, EachAlone());
    lineage.Signal(successor, SIGTERM);
    lineage.Await("upgrade.rolled_back", owner);
    EXPECT_TRUE(load->AwaitVersion("v1", Lineage::kLong)) << lineage.History();
    lineage.AwaitExit(successor);
    lineage.Await("phase.serving", owner);
    const LoadReport report = load->Stop();
    EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
    EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << lineage.History();
    lineage.Await("migration.received", owner);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, MigrationTest, ::testing::Values("push", "pull"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace zdd
