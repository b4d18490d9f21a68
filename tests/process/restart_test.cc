// A service replaces its process while clients hammer it, in each way to accept.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/load/load_client.h"
#include "tests/process/embedded_server.h"
#include "tests/process/lineage.h"
#include "zdd/base/owned_fd.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr absl::Duration kLong = Lineage::kLong;

LoadOptions SomeOfEach(const std::string& address) {
  LoadOptions options;
  options.address = address;
  options.groups = {
      {.kind = LoadKind::kNew, .connections = 8, .rate = 300},
      {.kind = LoadKind::kKeepAlive, .connections = 8, .rate = 300},
      {.kind = LoadKind::kKeepAlive, .connections = 10, .think = absl::Milliseconds(20)},
      {.kind = LoadKind::kSlow, .connections = 4, .length = absl::Milliseconds(200)},
      {.kind = LoadKind::kLate, .connections = 4, .delay = absl::Milliseconds(100)}};
  options.timeout = absl::Seconds(15);
  return options;
}

std::string Pid(const Lineage& lineage) {
  std::string text;
  std::getline(std::ifstream(lineage.dir().File("pid")) >> std::ws, text);
  return text;
}

class RestartTest : public ::testing::TestWithParam<std::string> {};

TEST_P(RestartTest, LosesNothingOverFiveGenerations) {
  Lineage lineage({GetParam(), "listen http tcp://127.0.0.1:0"});
  pid_t owner = lineage.StartFirst({"version v1"});
  auto load = LoadClient::Start(SomeOfEach(lineage.Address()));
  ASSERT_TRUE(load.ok()) << load.status();
  for (int i = 2; i <= 6; ++i) {
    const std::string version = absl::StrCat("v", i);
    lineage.Script({"version " + version});
    (*load)->Mark(version);
    lineage.Signal(owner, SIGUSR2);
    TestEvent started = lineage.Await("test.started");
    lineage.Await("phase.serving", started.pid);
    EXPECT_TRUE((*load)->AwaitVersion(version, kLong));
    (*load)->MarkEnd();
    EXPECT_EQ(Pid(lineage), absl::StrCat(started.pid));
    EXPECT_EQ(lineage.AwaitExit(owner), 0);
    owner = started.pid;
  }
  LoadReport report = (*load)->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
  EXPECT_GT(report.requests(), 500);
  lineage.Signal(owner, SIGTERM);
  EXPECT_EQ(lineage.AwaitExit(owner), 0);
}

INSTANTIATE_TEST_SUITE_P(EachWay, RestartTest,
                         ::testing::Values("mode push", "mode pull", "mode raw", "on embedder",
                                           "on executor"),
                         [](const auto& info) {
                           return info.param.substr(info.param.find(' ') + 1);
                         });

TEST(RestartTest, ASuccessorStartedByHandFindsTheOwnerAndTakesOver) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  pid_t first = lineage.StartFirst({"version v1"});
  const std::string address = lineage.Address();
  auto load = LoadClient::Start(SomeOfEach(address));
  ASSERT_TRUE(load.ok()) << load.status();
  lineage.Script({"version v2"});
  pid_t second = lineage.Start();
  lineage.Await("test.started", second);
  lineage.Await("phase.serving", second);
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  EXPECT_EQ(lineage.Address(), address);  // port 0 keeps its port
  EXPECT_TRUE((*load)->AwaitVersion("v2", kLong));
  LoadReport report = (*load)->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable();
}

// Waits until `owner` holds nothing of an elder any more: it is told gone a moment before its last
// descriptor is closed.
std::map<std::string, int> FdsOfOneAlone(pid_t owner) {
  const auto alone = [&] { return EmbeddedServer::FdsOf(owner).count("anon_inode:[pidfd]") == 0; };
  for (int i = 0; i < 5000 && !alone(); ++i) poll(nullptr, 0, 1);
  EXPECT_TRUE(alone());
  return EmbeddedServer::FdsOf(owner);
}

TEST(RestartTest, NoDescriptorLeaksOverTwentyGenerations) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "listen unix unix:x.sock",
                   "listen abstract unix:@zdd-test", "standby_ms 0", "spread_ms 0", "grace_ms 0"});
  pid_t owner = lineage.StartFirst({"version v1"});
  std::map<std::string, int> before;
  for (int i = 0; i < 20; ++i) {
    lineage.Script({absl::StrCat("version v", i + 2)});
    lineage.Signal(owner, SIGUSR2);
    pid_t next = lineage.Await("test.started").pid;
    lineage.Await("phase.serving", next);
    EXPECT_EQ(lineage.AwaitExit(owner), 0);
    lineage.Await("elder.gone", next);
    owner = next;
    if (i == 0) before = FdsOfOneAlone(owner);
  }
  EXPECT_FALSE(before.empty());
  EXPECT_EQ(FdsOfOneAlone(owner), before);
  lineage.Signal(owner, SIGTERM);
  EXPECT_EQ(lineage.AwaitExit(owner), 0);
  EXPECT_EQ(access("x.sock", F_OK), -1);  // the last owner removes it
}

TEST(RestartTest, AListenerIsAddedDroppedAndRebound) {
  Lineage lineage({"standby_ms 300"});
  lineage.Script({"version v1", "listen keep tcp://127.0.0.1:0", "listen drop tcp://127.0.0.1:0",
                  "listen move tcp://127.0.0.1:0"});
  pid_t first = lineage.Start();
  lineage.Await("test.started", first);
  lineage.Await("phase.serving", first);
  auto dropped =
      LoadClient::Start({.address = lineage.Address("drop"),
                         .groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 200}}});
  auto kept = LoadClient::Start(SomeOfEach(lineage.Address("keep")));
  auto moved =
      LoadClient::Start({.address = lineage.Address("move"),
                         .groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 200}}});
  ASSERT_TRUE(kept.ok() && dropped.ok() && moved.ok());
  lineage.Script({"version v2", "listen keep " + lineage.Address("keep"),
                  "listen move tcp://127.0.0.2:0", "listen add tcp://127.0.0.1:0"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("phase.standby", first);
  // In standby the old addresses are served on, by the predecessor.
  EXPECT_EQ((*dropped)->Stop().lost(), 0);
  EXPECT_EQ((*moved)->Stop().lost(), 0);
  TestEvent promoted = lineage.Await("upgrade.promoted", first);
  EXPECT_TRUE(absl::StrContains(promoted.message, "listener \"drop\" dropped")) << promoted.message;
  EXPECT_TRUE(absl::StrContains(promoted.message, "listener \"move\" rebound")) << promoted.message;
  EXPECT_TRUE(absl::StrContains(promoted.message, "listener \"add\" added")) << promoted.message;
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  EXPECT_TRUE((*kept)->AwaitVersion("v2", kLong));
  EXPECT_EQ((*kept)->Stop().lost(), 0);
  auto added =
      LoadClient::Start({.address = lineage.Address("add"),
                         .groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 100}}});
  ASSERT_TRUE(added.ok());
  EXPECT_TRUE((*added)->AwaitAllGroups(kLong));
  EXPECT_EQ((*added)->Stop().lost(), 0);
}

constexpr absl::Duration kThink = absl::Milliseconds(50);

TEST(RestartTest, TwoServicesOfOneProcessUpgradeAsOneProcess) {
  Lineage lineage({"name a", "also b", "listen http tcp://127.0.0.1:0"});
  pid_t first = lineage.StartFirst({"version v1"});
  lineage.Await("phase.serving", first);
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  pid_t second = lineage.Await("test.started").pid;
  lineage.Await("phase.serving", second);
  lineage.Await("phase.serving", second);
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  EXPECT_FALSE(lineage.Saw("upgrade.rolled_back"));
  lineage.Signal(second, SIGTERM);
  EXPECT_EQ(lineage.AwaitExit(second), 0);
}

TEST(RestartTest, AnUpgradeAskedForDuringAHandoffRunsAfterIt) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 300"});
  pid_t first = lineage.StartFirst({"version v1"});
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("phase.standby", first);
  lineage.Script({"version v3"});
  lineage.Signal(first, SIGUSR2);
  pid_t second = lineage.Await("test.started").pid;
  lineage.Await("owner", second);
  pid_t third = lineage.Await("test.started").pid;
  lineage.Await("phase.serving", third);
  EXPECT_EQ(lineage.AwaitExit(second), 0);
}

// A connection that has had one answer, and whose second request is never whole: its server drains
// until it is gone.
OwnedFd HoldBusy(const std::string& server) {
  constexpr absl::string_view kRequests = "GET / HTTP/1.1\r\n\r\nGET";
  absl::StatusOr<Address> address = Address::Parse(server);
  EXPECT_TRUE(address.ok()) << address.status();
  OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), address->sockaddr(), address->size()), 0);
  EXPECT_EQ(write(fd.get(), kRequests.data(), kRequests.size()), ssize_t(kRequests.size()));
  char answer[64];
  EXPECT_GT(read(fd.get(), answer, sizeof(answer)), 0);
  return fd;
}

TEST(RestartTest, AnUpgradeAskedForWhileTooManyDrainWaitsForOneToEnd) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "draining_max 1", "deadline_ms 20000"});
  pid_t first = lineage.StartFirst({"version v1"});
  OwnedFd busy = HoldBusy(lineage.Address());
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  pid_t second = lineage.Await("test.started").pid;
  lineage.Await("phase.serving", second);
  lineage.Script({"version v3"});
  lineage.Signal(second, SIGUSR2);
  lineage.Await("upgrade.waits", second);
  EXPECT_FALSE(lineage.Saw("enter.spawning", second));
  busy.Reset();
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  pid_t third = lineage.Await("test.started").pid;
  lineage.Await("phase.serving", third);
  EXPECT_EQ(lineage.AwaitExit(second), 0);
}

TEST(RestartTest, StopDuringAHandoffStopsTheService) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 5000"});
  pid_t first = lineage.StartFirst({"version v1"});
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  pid_t second = lineage.Await("test.started").pid;
  lineage.Await("phase.standby", first);
  lineage.Signal(first, SIGTERM);
  lineage.Await("phase.failed", second);
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  EXPECT_FALSE(lineage.Alive(second));
}

// As a stop of a whole control group, or Ctrl-C, does it: for a generation that is leaving anyway
// the first signal is not the one that cuts its drain short.
TEST(RestartTest, AStopOfAllGenerationsCutsNobodyOff) {
  for (int round = 0; round < 3; ++round) {
    Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 5000", "grace_ms 1000",
                     "spread_ms 500", "deadline_ms 20000"});
    pid_t first = lineage.StartFirst({"version v1"});
    lineage.Script({"version v2"});
    lineage.Signal(first, SIGUSR2);
    pid_t second = lineage.Await("test.started").pid;
    lineage.Await("phase.standby", first);
    auto load = LoadClient::Start(
        {.address = lineage.Address(),
         .groups = {{.kind = LoadKind::kKeepAlive, .connections = 50, .think = kThink}}});
    ASSERT_TRUE(load.ok());
    EXPECT_TRUE((*load)->AwaitVersion("v2", kLong));
    lineage.Signal(first, SIGTERM);
    lineage.Await("phase.leaving", second);
    lineage.Signal(second, SIGTERM);
    EXPECT_EQ(lineage.AwaitExit(first), 0);
    // Whoever was told to reconnect finds nobody: that is what a stop means.
    const LoadGroupReport sum = (*load)->Stop().Sum();
    EXPECT_EQ(sum.lost(), sum.count(LoadOutcome::kRefused)) << lineage.History();
  }
}

}  // namespace
}  // namespace zdd
