// Connections that move from one process to the next: how long, and what an active client sees.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "benchmarks/drain/clients.h"
#include "benchmarks/drain/drain.h"
#include "benchmarks/drain/server.h"
#include "tests/util/free_address.h"

namespace zdd {
namespace {

constexpr int kRounds = 5;
constexpr int kAskers = 10;
constexpr absl::Duration kSteady = absl::Milliseconds(500);

double Ms(std::vector<absl::Duration> values) {
  std::sort(values.begin(), values.end());
  return absl::ToDoubleMilliseconds(values[values.size() / 2]);
}

struct Moved {
  std::vector<absl::Duration> moving;  // commit to drained
  std::vector<absl::Duration> gone;    // commit to the end of the process
  std::vector<absl::Duration> steady;  // p99 of the askers, before
  std::vector<absl::Duration> p99;     // meanwhile
};

// Restarts, one after the other, of a server that holds so many connections.
absl::StatusOr<Moved> MoveOften(const std::vector<std::string>& words,
                                const std::string& runtime_dir, const Address& address, int idle,
                                int askers, int rounds) {
  absl::StatusOr<std::unique_ptr<MovingServer>> server = MovingServer::Start(words, runtime_dir);
  if (!server.ok()) return server.status();
  absl::StatusOr<std::vector<OwnedFd>> clients = OpenIdle(address, idle);
  if (!clients.ok()) return clients.status();
  Moved moved;
  for (int round = 0; round < rounds; ++round) {
    Askers asking(address, askers);
    const Instant began = MonotonicNow();
    absl::SleepFor(kSteady);
    absl::Status status = (*server)->Upgrade();
    if (!status.ok()) return status;
    absl::StatusOr<MovingServer::Move> move = (*server)->AwaitMove();
    if (!move.ok()) return move.status();
    asking.Stop();
    if (!asking.status().ok()) return asking.status();
    moved.moving.push_back(move->drained - move->commit);
    moved.gone.push_back(move->gone - move->commit);
    if (auto p99 = asking.P99(began, began + kSteady)) moved.steady.push_back(*p99);
    if (auto p99 = asking.P99(move->commit, move->drained)) moved.p99.push_back(*p99);
  }
  return moved;
}

std::vector<std::string> HttpServer(const Rig& rig, const std::string& address) {
  return {rig.server, "--listen=" + address, "--threads=1", "--standby=100ms"};
}

absl::Status MeasureOne(const Rig& rig, absl::string_view name, bool epoll, int idle, double bar_ms,
                        double bare_per_s) {
  absl::StatusOr<std::string> text = FreeAddress();
  if (!text.ok()) return text.status();
  const std::string directory = absl::StrCat(rig.directory, "/", name, idle);
  const absl::StatusOr<Moved> moved =
      MoveOften(epoll ? std::vector<std::string>{rig.epoll, *text, "60s"} : HttpServer(rig, *text),
                directory, Address::Parse(*text).value(), idle, kAskers, kRounds);
  if (!moved.ok()) return moved.status();
  const double ms = Ms(moved->moving);
  rig.bars->AtMost(absl::StrFormat("%d moved, %s", idle, name), ms, bar_ms, "ms");
  if (bare_per_s > 0) {
    rig.bars->AtLeast("  of the rate of bare fd passing", 100 * idle / ms * 1000 / bare_per_s, 50,
                      "%");
  }
  if (!moved->steady.empty())
    rig.bars->Note("  p99 of active clients, steady", Ms(moved->steady), "ms");
  if (!moved->p99.empty()) {
    rig.bars->AtMost("  p99 of active clients meanwhile", Ms(moved->p99), 5, "ms");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureMoving(const Rig& rig) {
  std::vector<absl::Duration> bare;
  for (int round = 0; round < kRounds; ++round) {
    absl::StatusOr<absl::Duration> took = PassBare(9600);
    if (!took.ok()) return took.status();
    bare.push_back(*took);
  }
  const double bare_per_s = 9600 / (Ms(bare) / 1000);
  rig.bars->Note("bare fd passing", bare_per_s, "/s");
  absl::Status status = MeasureOne(rig, "epoll", true, 10000, 120, bare_per_s);
  status.Update(MeasureOne(rig, "Beast", false, 10000, 200, 0));
  status.Update(MeasureOne(rig, "epoll", true, 1000, 20, 0));
  return status;
}

absl::Status MeasureLoaded(const Rig& rig) {
  absl::StatusOr<std::string> text = FreeAddress();
  if (!text.ok()) return text.status();
  const absl::StatusOr<Moved> moved =
      MoveOften(HttpServer(rig, *text), rig.directory + "/loaded", Address::Parse(*text).value(),
                /*idle=*/960, /*askers=*/40, kRounds);
  if (!moved.ok()) return moved.status();
  rig.bars->AtMost("predecessor gone after the commit, 1,000 under load", Ms(moved->gone), 30,
                   "ms");
  return absl::OkStatus();
}

}  // namespace zdd
