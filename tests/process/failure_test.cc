// Whatever a successor does wrong, the predecessor serves on, its clients notice nothing, and the
// reason is told.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"

namespace zdd {
namespace {

struct Failure {
  std::string name;
  std::vector<std::string> script;  // of the successor
  std::string reason;               // a part of what is told
};

class FailureTest : public ::testing::TestWithParam<Failure> {};

TEST_P(FailureTest, LeavesThePredecessorServing) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 3000"});
  pid_t first =
      lineage.StartFirst({"version v1", "ready_ms 1500", "hello_ms 1500", "deadline_ms 500"});
  LoadOptions options;
  options.address = lineage.Address();
  options.groups = {{.kind = LoadKind::kNew, .connections = 8, .rate = 200},
                    {.kind = LoadKind::kKeepAlive, .connections = 8, .rate = 200}};
  options.timeout = absl::Seconds(15);
  auto load = LoadClient::Start(options);
  ASSERT_TRUE(load.ok()) << load.status();
  lineage.Script(GetParam().script);
  lineage.Signal(first, SIGUSR2);
  TestEvent failed = lineage.Await("upgrade.rolled_back", first);
  EXPECT_TRUE(absl::StrContains(failed.message, GetParam().reason)) << failed.message;
  lineage.Await("phase.serving", first);
  LoadReport report = (*load)->Stop();
  // What the successor had accepted died with it; nobody else noticed anything.
  const LoadGroupReport sum = report.Sum();
  const bool crashed_in_service = absl::EndsWith(GetParam().name, "Accepting");
  EXPECT_EQ(sum.count(LoadOutcome::kRefused), 0) << report.ToTable();
  EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0) << report.ToTable();
  EXPECT_EQ(sum.count(LoadOutcome::kWrong), 0) << report.ToTable();
  EXPECT_LE(sum.lost(), crashed_in_service ? 16 : 0) << report.ToTable() << lineage.History();

  // And a good version goes through afterwards.
  lineage.Script({"version v3", "standby_ms 0"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("phase.standby", first);
}

INSTANTIATE_TEST_SUITE_P(
    EachFailure, FailureTest,
    ::testing::Values(
        Failure{"ExitsAtOnce",
                {"version bad", "fail exit 3"},
                "exited with code 3 in spawning, before Service::Create(): its own output says "},
        Failure{"CrashesBeforeHello", {"version bad", "fail crash"}, "killed by signal 11"},
        Failure{"OutOfMemory", {"version bad", "fail out_of_memory"}, "killed by signal 6"},
        Failure{"OutOfFds", {"version bad", "fail out_of_fds"}, "exited with code 1"},
        Failure{"HangsBeforeHello",
                {"version bad", "fail hang_early"},
                "within 1.5s (options.hello_timeout"},
        Failure{
            "HangsBeforeReady", {"version bad", "fail hang"}, "within 1.5s (options.ready_timeout"},
        Failure{"NeverGetsReady",
                {"version bad", "fail notready"},
                "within 1.5s (options.ready_timeout"},
        Failure{"CheckFails",
                {"version bad", "fail check no route to db"},
                "readiness check \"db\": no route to db"},
        Failure{"DiesPrepared", {"version bad", "at enter.prepared kill"}, "killed by signal 9"},
        Failure{"DiesAccepting", {"version bad", "at phase.accepting kill"}, "killed by signal 9"},
        Failure{"ExitsAccepting", {"version bad", "at phase.accepting exit"}, "exited with code 7"},
        Failure{"FreezesBeforeAccepting", {"version bad", "at enter.accepting stop"}, "pid"},
        Failure{
            "FreezesAccepting", {"version bad", "at phase.accepting stop"}, "nothing heard from"}),
    [](const auto& info) { return info.param.name; });

TEST(FailureTest, AMissingProgramIsNamed) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  pid_t first = lineage.StartFirst({"version v1", "command /nonexistent/server"});
  lineage.Signal(first, SIGUSR2);
  TestEvent failed = lineage.Await("upgrade.rolled_back", first);
  EXPECT_TRUE(absl::StrContains(failed.message, "/nonexistent/server")) << failed.message;
  EXPECT_TRUE(absl::StrContains(failed.message, ") keeps serving: ")) << failed.message;
  EXPECT_TRUE(lineage.Alive(first));
}

TEST(FailureTest, AKeptUpgradeThatHangsTooHasALimitOfItsOwn) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  pid_t first = lineage.StartFirst({"version v1", "hello_ms 1000"});
  lineage.Script({"version bad", "fail hang_early"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("phase.spawning", first);
  lineage.Await("test.started");
  lineage.Signal(first, SIGUSR2);  // kept, and begun when the first one has failed
  for (int i = 0; i < 2; ++i) {
    TestEvent failed = lineage.Await("upgrade.rolled_back", first);
    EXPECT_TRUE(absl::StrContains(failed.message, "did not come to")) << failed.message;
    EXPECT_TRUE(absl::StrContains(failed.message, "[spawning 1")) << failed.message;
  }
  lineage.Await("phase.spawning", first);
  lineage.Script({"version v2", "standby_ms 0"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("upgrade.promoted", first);
}

TEST(FailureTest, TheSuccessorOfAnOwnerThatDiesWhileItStartsBeginsAnew) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  pid_t first = lineage.StartFirst({"version v1", "at phase.spawning kill"});
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  EXPECT_EQ(lineage.AwaitExit(first), -SIGKILL);
  pid_t second = lineage.Await("test.started").pid;
  lineage.Await("join.orphaned", second);
  lineage.Await("owner", second);
  lineage.Await("phase.serving", second);
}

// A shell script that starts the server and waits for it: the process that was started is not the
// one that serves.
class WrapperTest : public ::testing::Test {
 protected:
  WrapperTest() {
    const std::string wrapper = lineage_.dir().File("wrapper");
    std::ofstream(wrapper) << "#!/bin/sh\n"
                           << std::filesystem::absolute("tests/process/test_server").string() << " "
                           << lineage_.dir().File("script") << "\nexit 0\n";
    EXPECT_EQ(chmod(wrapper.c_str(), 0700), 0);
    first_ = lineage_.StartFirst({"version v1", "command " + wrapper, "deadline_ms 300"});
  }
  // The wrapper's pid, and the server's.
  std::pair<pid_t, pid_t> AwaitWrapped() {
    const std::string told = lineage_.Await("handoff.wrapped", first_).message;
    int wrapper = 0;
    int server = 0;
    EXPECT_EQ(sscanf(told.c_str(), "pid %d was started, pid %d", &wrapper, &server), 2) << told;
    return {wrapper, server};
  }

  Lineage lineage_{{"listen http tcp://127.0.0.1:0", "standby_ms 1000", "silence_ms 1000"}};
  pid_t first_ = 0;
};

TEST_F(WrapperTest, ItsDeathIsNotTheSuccessors) {
  lineage_.Script({"version v2"});
  lineage_.Signal(first_, SIGUSR2);
  const auto [wrapper, server] = AwaitWrapped();
  lineage_.Await("phase.standby", first_);
  lineage_.Signal(wrapper, SIGKILL);
  lineage_.Await("upgrade.promoted", first_);
  lineage_.Await("owner", server);
  EXPECT_EQ(lineage_.AwaitExit(first_), 0);
}

TEST_F(WrapperTest, AFrozenSuccessorBehindItIsKilled) {
  lineage_.Script({"version v2", "at phase.accepting stop"});
  lineage_.Signal(first_, SIGUSR2);
  const pid_t server = AwaitWrapped().second;
  lineage_.Await("upgrade.rolled_back", first_);
  lineage_.Await("handoff.killed", first_);
  lineage_.Await("phase.serving", first_);
  // Only SIGKILL ends what is stopped. The wrapper may live long enough to collect it, so that its
  // status is not always to be had.
  lineage_.AwaitExit(server);
}

TEST(FailureTest, ASecondSuccessorIsToldThatTheServiceIsBusy) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 2000"});
  pid_t first = lineage.StartFirst({"version v1"});
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("phase.standby", first);
  pid_t third = lineage.Start();
  TestEvent failed = lineage.Await("test.failed", third);
  EXPECT_TRUE(absl::StrContains(failed.message, "busy: it is in standby")) << failed.message;
}

TEST(FailureTest, AFrozenPredecessorIsNamedAndNothingIsStarted) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  pid_t first = lineage.StartFirst({"version v1"});
  lineage.Signal(first, SIGSTOP);
  lineage.AwaitStopped(first);
  lineage.Script({"version v2"});
  pid_t second = lineage.Start();
  TestEvent failed = lineage.Await("test.failed", second);
  EXPECT_TRUE(absl::StrContains(failed.message, absl::StrCat("pid ", first))) << failed.message;
  EXPECT_TRUE(absl::StrContains(failed.message, "does not answer")) << failed.message;
  lineage.Signal(first, SIGCONT);
}

TEST(FailureTest, AHungServerBehindALiveLoopIsHelpedAndRolledBack) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 2500"});
  pid_t first = lineage.StartFirst({"version v1", "deadline_ms 300"});
  LoadOptions options;
  options.address = lineage.Address();
  options.groups = {{.kind = LoadKind::kNew, .connections = 8, .rate = 100}};
  options.timeout = absl::Seconds(15);
  auto load = LoadClient::Start(options);
  ASSERT_TRUE(load.ok());
  lineage.Script({"version v2", "mode pull", "fail accept_once"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("handoff.stuck", first);
  TestEvent failed = lineage.Await("upgrade.rolled_back", first);
  EXPECT_TRUE(absl::StrContains(failed.message, "accepts nothing")) << failed.message;
  LoadReport report = (*load)->Stop();
  EXPECT_LE(report.lost(), 1) << report.ToTable();  // what the hung one had accepted
}

TEST(FailureTest, ASuccessorThatWasFrozenForAWhileInStandbyTakesOverAllTheSame) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 2500", "silence_ms 5000"});
  pid_t first = lineage.StartFirst({"version v1"});
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  pid_t second = lineage.Await("test.started").pid;
  lineage.Await("phase.standby", first);
  lineage.Signal(second, SIGSTOP);
  lineage.AwaitStopped(second);
  poll(nullptr, 0, 500);  // helped after 300 ms, and not overruled
  lineage.Signal(second, SIGCONT);
  lineage.Await("upgrade.promoted", first);
}

}  // namespace
}  // namespace zdd
