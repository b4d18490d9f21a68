// What zdd costs while nothing is replaced: requests a second of http_server against the same
// server without zdd, by turns. Ratios of neighbours, and their median, since a machine that is
// shared changes its speed over seconds.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "benchmarks/restart/process.h"
#include "benchmarks/restart/rig.h"

namespace zdd {
namespace {

constexpr int kRounds = 15;
constexpr double kBar = 0.98;
constexpr absl::Duration kRound = absl::Milliseconds(500);

struct Speed {
  double requests_a_second;
  double cpu_us;  // of the server, for one request
};

absl::StatusOr<Speed> MeasureSpeed(const std::string& address, pid_t pid, LoadGroup group) {
  auto load = StartLoad(address, {std::move(group)});
  if (!load.ok()) return load.status();
  const absl::Duration cpu_before = CpuTime(pid);
  const int64_t before = (*load)->Peek().Sum().ended();
  const absl::Time begin = absl::Now();
  absl::SleepFor(kRound);
  const double requests = static_cast<double>((*load)->Peek().Sum().ended() - before);
  const absl::Duration cpu = CpuTime(pid) - cpu_before;
  const Speed speed = {requests / absl::ToDoubleSeconds(absl::Now() - begin),
                       absl::ToDoubleMicroseconds(cpu) / requests};
  if ((*load)->Stop().lost() > 0) return absl::DataLossError("requests were lost");
  return speed;
}

struct Rival {
  std::string address;
  pid_t pid;
};

// The ratios with / without of each round.
absl::Status Compare(const Rig& rig, const Rival& with, const Rival& without,
                     const std::string& name, const LoadGroup& group, bool has_bar) {
  std::vector<double> shares;
  std::vector<double> cpu;
  for (int round = 0; round < kRounds; ++round) {
    const absl::StatusOr<Speed> first = MeasureSpeed(with.address, with.pid, group);
    if (!first.ok()) return first.status();
    const absl::StatusOr<Speed> second = MeasureSpeed(without.address, without.pid, group);
    if (!second.ok()) return second.status();
    shares.push_back(first->requests_a_second / second->requests_a_second);
    cpu.push_back(first->cpu_us / second->cpu_us);
  }
  const std::string figure = absl::StrCat("throughput with zdd / without, ", name);
  if (has_bar) {
    rig.bars->AtLeast(figure, Median(shares), kBar, "x");
  } else {
    rig.bars->Note(figure, Median(shares), "x");
  }
  rig.bars->Note("  processor time a request, with / without", Median(cpu), "x");
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureThroughput(const Rig& rig) {
  absl::StatusOr<demo::Deployment> server = rig.Deploy("throughput", {"--threads=1"});
  if (!server.ok()) return server.status();
  absl::StatusOr<demo::Deployment> place = demo::Deployment::Create({});
  if (!place.ok()) return place.status();
  absl::StatusOr<Process> bare =
      Process::Start({rig.bare_server, absl::StrCat("--listen=", place->address()), "--threads=1"});
  if (!bare.ok()) return bare.status();
  const Rival with = {server->address(), server->owner()};
  const Rival without = {place->address(), bare->pid()};
  absl::Status status = Compare(rig, with, without, "keep-alive",
                                {.kind = LoadKind::kKeepAlive, .connections = 64}, true);
  if (status.ok()) {
    status = Compare(rig, with, without, "new connections",
                     {.kind = LoadKind::kNew, .connections = 32}, false);
  }
  return status.ok() ? server->Stop() : status;
}

}  // namespace zdd
