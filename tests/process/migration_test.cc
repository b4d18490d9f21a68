// Live connections move to the successor while their clients use them: nobody has to connect again,
// and whoever dies or hangs in the middle takes only what was his.
#include <gtest/gtest.h>

#include <csignal>

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

INSTANTIATE_TEST_SUITE_P(Ways, MigrationTest, ::testing::Values("push", "pull"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace zdd
