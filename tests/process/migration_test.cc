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
  EXPECT_TRUE((*load)->AwaitAllGroups(absl::Seconds(15)));
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
    EXPECT_TRUE(load->AwaitVersion(absl::StrCat("v", i), absl::Seconds(20))) << lineage.History();
  }
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable();
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
  EXPECT_TRUE(load_->AwaitVersion("v2", absl::Seconds(20)));
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
  ExpectNothingLost();
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
  EXPECT_TRUE(load_->AwaitVersion("v2", absl::Seconds(20)));
  const LoadGroupReport sum = load_->Stop().Sum();
  const int taken = NumberAfter(received, "");
  EXPECT_GT(taken, 0) << received;
  EXPECT_LE(sum.lost(), kClients - taken) << received << lineage_.History();
  EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0);
  EXPECT_EQ(sum.count(LoadOutcome::kRefused), 0);
  EXPECT_TRUE(lineage_.Alive(second));
}

INSTANTIATE_TEST_SUITE_P(Ways, MigrationTest, ::testing::Values("push", "pull"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace zdd
