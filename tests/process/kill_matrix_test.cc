// Each phase x each side x {SIGKILL, SIGSTOP with a late SIGCONT}, generated from the handoff
// table, under load.
//
// The one that is hit does it to itself at the first instant of the phase (enter.X), and in a
// second round when the phase's effects are done (phase.X). What must hold: nothing is refused,
// nothing waits for ever, nothing is answered wrongly; what is lost is at most what the dead one
// had in its hands; somebody serves afterwards; a good version goes through.
#include <gtest/gtest.h>

#include <csignal>

#include "absl/strings/str_cat.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"
#include "zdd/handoff/handoff_table.h"

namespace zdd {
namespace {

constexpr int kConnections = 16;

struct Hit {
  bool predecessor = false;
  std::string event;  // "enter.standby"
  bool kill = false;
};

std::string NameOf(const ::testing::TestParamInfo<Hit>& info) {
  std::string name = absl::StrCat(info.param.predecessor ? "Predecessor" : "Successor", "_",
                                  info.param.event, "_", info.param.kill ? "Killed" : "Frozen");
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
}

// The phases that each side passes in a handoff that goes well; the others are reached by the
// failures themselves.
std::vector<Hit> Matrix() {
  std::vector<Hit> hits;
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    const bool successor =
        phase == Phase::kAdopting || phase == Phase::kPrepared || phase == Phase::kAccepting;
    const bool predecessor = phase == Phase::kSpawning || phase == Phase::kOffering ||
                             phase == Phase::kSharing || phase == Phase::kStandby ||
                             phase == Phase::kReleasing || phase == Phase::kDraining;
    if (!successor && !predecessor && phase != Phase::kServing) continue;
    for (const char* when : {"enter.", "phase."}) {
      for (bool kill : {true, false}) {
        hits.push_back({predecessor, absl::StrCat(when, PhaseName(phase)), kill});
      }
    }
  }
  return hits;
}

class KillMatrixTest : public ::testing::TestWithParam<Hit> {};

TEST_P(KillMatrixTest, SomebodyServesAndOnlyTheDeadOnesOwnIsLost) {
  const Hit& hit = GetParam();
  const std::string fault = absl::StrCat("at ", hit.event, hit.kill ? " kill" : " stop_process");
  Lineage lineage(
      {"listen http tcp://127.0.0.1:0", "standby_ms 200", "silence_ms 1000", "deadline_ms 1000"});
  std::vector<std::string> first_script = {"version v1"};
  if (hit.predecessor) first_script.push_back(fault);
  pid_t first = lineage.StartFirst(first_script);
  LoadOptions options;
  options.address = lineage.Address();
  options.groups = {{.kind = LoadKind::kNew, .connections = kConnections / 2, .rate = 150},
                    {.kind = LoadKind::kKeepAlive, .connections = kConnections / 2, .rate = 150}};
  options.timeout = absl::Seconds(20);
  auto load = LoadClient::Start(options);
  ASSERT_TRUE(load.ok()) << load.status();
  ASSERT_TRUE((*load)->AwaitAllGroups(absl::Seconds(20)));

  lineage.Script(hit.predecessor ? std::vector<std::string>{"version v2"}
                                 : std::vector<std::string>{"version v2", fault});
  lineage.Signal(first, SIGUSR2);
  pid_t second = lineage.Await("test.started").pid;
  const pid_t victim = hit.predecessor ? first : second;
  const pid_t survivor = hit.predecessor ? second : first;
  if (hit.kill) {
    lineage.AwaitExit(victim);
  } else {
    lineage.AwaitStopped(victim);
    // Late: the other side has long decided.
    if (hit.event != "phase.serving" && hit.event != "enter.serving" &&
        hit.event != "phase.draining") {
      lineage.Await("phase.serving", survivor, absl::Seconds(5));
    }
    lineage.Signal(victim, SIGCONT);
  }
  (void)survivor;
  // Whoever it is: somebody owns the service, and a good version goes through.
  lineage.Script({"version v3"});
  pid_t third = 0;
  for (int attempt = 0; attempt < 100 && third == 0; ++attempt) {
    pid_t started = lineage.Start();
    if (lineage.AwaitUnlessEnded("phase.serving", started)) third = started;
  }
  ASSERT_NE(third, 0) << lineage.History();
  EXPECT_TRUE((*load)->AwaitVersion("v3", absl::Seconds(20))) << lineage.History();
  LoadReport report = (*load)->Stop();
  const LoadGroupReport sum = report.Sum();
  EXPECT_EQ(sum.count(LoadOutcome::kRefused), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(sum.count(LoadOutcome::kWrong), 0) << report.ToTable() << lineage.History();
  // A frozen one that was overruled is killed if it does not wake up in time: then its hands are
  // lost too.
  EXPECT_LE(sum.lost(), hit.kill ? kConnections : 0) << report.ToTable() << lineage.History();
}

INSTANTIATE_TEST_SUITE_P(EachPhase, KillMatrixTest, ::testing::ValuesIn(Matrix()), NameOf);

}  // namespace
}  // namespace zdd
