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

bool IsSuccessors(Phase phase) {
  return phase == Phase::kAdopting || phase == Phase::kPrepared || phase == Phase::kAccepting ||
         phase == Phase::kTaking || phase == Phase::kServing;
}

bool IsPredecessors(Phase phase) {
  return phase == Phase::kSpawning || phase == Phase::kOffering || phase == Phase::kSharing ||
         phase == Phase::kStandby || phase == Phase::kReleasing || phase == Phase::kDraining;
}

// Who is killed here was the only one that held the sockets: a crash of the service, not of a
// handoff.
bool IsOrdinaryCrash(const Hit& hit) {
  if (!hit.kill) return false;
  if (!hit.predecessor) return hit.event == "phase.serving";
  return hit.event == "enter.spawning" || hit.event == "phase.spawning" ||
         hit.event == "enter.offering";
}

// The phases that each side passes in a handoff that goes well; the others are reached by the
// failures themselves.
std::vector<Hit> Matrix() {
  std::vector<Hit> hits;
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    if (!IsSuccessors(phase) && !IsPredecessors(phase)) continue;
    for (const char* when : {"enter.", "phase."}) {
      // Taking the token is no time at all: once its effects are done, it is over.
      if (phase == Phase::kTaking && std::string(when) == "phase.") continue;
      for (bool kill : {true, false}) {
        Hit hit{IsPredecessors(phase), absl::StrCat(when, PhaseName(phase)), kill};
        if (!IsOrdinaryCrash(hit)) hits.push_back(hit);
      }
    }
  }
  return hits;
}

LoadOptions NewAndKept(const std::string& address) {
  LoadOptions options;
  options.address = address;
  options.groups = {{.kind = LoadKind::kNew, .connections = kConnections / 2, .rate = 150},
                    {.kind = LoadKind::kKeepAlive, .connections = kConnections / 2, .rate = 150}};
  options.timeout = absl::Seconds(30);
  return options;
}

class KillMatrixTest : public ::testing::TestWithParam<Hit> {
 protected:
  // Freezes of `victim` end late: when the others have decided what to do without it.
  void ThawLate(Lineage* lineage, pid_t victim) {
    lineage->AwaitStopped(victim);
    lineage->AwaitAnyOf({"phase.serving", "phase.yielding", "test.failed"}, /*not_of=*/victim,
                        absl::Seconds(9));
    kill(victim, SIGCONT);  // unless the predecessor has killed it at its deadline
  }

  // Starts good versions until one serves.
  void StartUntilServing(Lineage* lineage) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      if (lineage->AwaitUnlessEnded("phase.serving", lineage->Start())) return;
    }
    FAIL() << lineage->History();
  }
};

TEST_P(KillMatrixTest, SomebodyServesAndOnlyTheDeadOnesOwnIsLost) {
  const Hit& hit = GetParam();
  const std::string fault = absl::StrCat("at ", hit.event, hit.kill ? " kill" : " stop_process");
  Lineage lineage({"listen http tcp://127.0.0.1:0", "standby_ms 200", "silence_ms 1000",
                   "ready_ms 1500", "hello_ms 3000", "join_ms 1500", "deadline_ms 1000"});
  std::vector<std::string> script = {"version v1"};
  if (hit.predecessor) script.push_back(fault);
  const pid_t first = lineage.StartFirst(script);
  auto load = LoadClient::Start(NewAndKept(lineage.Address()));
  ASSERT_TRUE(load.ok()) << load.status();
  ASSERT_TRUE((*load)->AwaitAllGroups(Lineage::kLong));

  script = {"version v2"};
  if (!hit.predecessor) script.push_back(fault);
  lineage.Script(script);
  lineage.Signal(first, SIGUSR2);
  const pid_t victim = hit.predecessor ? first : lineage.Await("test.started").pid;
  if (hit.kill) {
    lineage.AwaitExit(victim);
  } else {
    ThawLate(&lineage, victim);
  }
  // Whoever it is: somebody owns the service, and a good version goes through.
  lineage.Script({"version v3"});
  StartUntilServing(&lineage);
  EXPECT_TRUE((*load)->AwaitVersion("v3", Lineage::kLong)) << lineage.History();
  LoadReport report = (*load)->Stop();
  const LoadGroupReport sum = report.Sum();
  EXPECT_EQ(sum.count(LoadOutcome::kRefused), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(sum.count(LoadOutcome::kTimedOut), 0) << report.ToTable() << lineage.History();
  EXPECT_EQ(sum.count(LoadOutcome::kWrong), 0) << report.ToTable() << lineage.History();
  // A frozen successor that was overruled and did not wake in time was killed: what it had in its
  // hands is lost too.
  const bool overruled = lineage.Saw("handoff.killed");
  EXPECT_LE(sum.lost(), hit.kill || overruled ? kConnections : 0)
      << report.ToTable() << lineage.History();
}

INSTANTIATE_TEST_SUITE_P(EachPhase, KillMatrixTest, ::testing::ValuesIn(Matrix()), NameOf);

}  // namespace
}  // namespace zdd
