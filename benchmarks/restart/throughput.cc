// What zdd costs while nothing is replaced: requests a second of http_server against the same
// server without zdd, in many short slices by turns. What disturbs a slice (another process) only
// ever takes away, so the fast slices of both are compared: their 90th percentiles.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "benchmarks/restart/lone_server.h"
#include "benchmarks/restart/process.h"
#include "benchmarks/restart/rig.h"

namespace zdd {
namespace {

constexpr int kBlocks = 4;  // each with fresh processes: how one lies in memory is luck
constexpr int kSlices = 15;
constexpr double kBar = 0.98;
constexpr absl::Duration kSlice = absl::Milliseconds(200);

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
  absl::SleepFor(kSlice);
  const double requests = static_cast<double>((*load)->Peek().Sum().ended() - before);
  const absl::Duration cpu = CpuTime(pid) - cpu_before;
  const Speed speed = {requests / absl::ToDoubleSeconds(absl::Now() - begin),
                       absl::ToDoubleMicroseconds(cpu) / requests};
  const LoadReport report = (*load)->Stop();
  if (report.lost() > 0) return absl::DataLossError(absl::StrCat(address, "\n", report.ToTable()));
  return speed;
}

struct Rival {
  std::vector<double> requests_a_second;
  std::vector<double> cpu_us;

  absl::Status Run(const LoneServer& server, const LoadGroup& group) {
    const absl::StatusOr<Speed> speed = MeasureSpeed(server.address(), server.pid(), group);
    if (!speed.ok()) return speed.status();
    requests_a_second.push_back(speed->requests_a_second);
    cpu_us.push_back(speed->cpu_us);
    return absl::OkStatus();
  }
};

struct Rivals {
  Rival with;
  Rival without;
};

absl::Status RunBlock(const Rig& rig, const LoadGroup& group, Rivals* rivals) {
  const absl::StatusOr<LoneServer> server = LoneServer::Start(rig);
  if (!server.ok()) return server.status();
  const absl::StatusOr<LoneServer> bare = LoneServer::StartBare(rig);
  if (!bare.ok()) return bare.status();
  absl::Status status = server->AwaitAnswer();
  if (status.ok()) status = bare->AwaitAnswer();
  for (int slice = 0; slice < 2 * kSlices && status.ok(); ++slice) {
    // a b b a: neither is always the first one.
    const bool with = slice % 4 == 0 || slice % 4 == 3;
    status = with ? rivals->with.Run(*server, group) : rivals->without.Run(*bare, group);
  }
  return status;
}

double Fast(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() * 9 / 10];
}

struct Comparison {
  double throughput;  // with zdd / without
  double cpu;
};

absl::StatusOr<Comparison> Compare(const Rig& rig, const LoadGroup& group) {
  Rivals rivals;
  for (int block = 0; block < kBlocks; ++block) {
    const absl::Status status = RunBlock(rig, group, &rivals);
    if (!status.ok()) return status;
  }
  const auto& [with, without] = rivals;
  return Comparison{Fast(with.requests_a_second) / Fast(without.requests_a_second),
                    Median(with.cpu_us) / Median(without.cpu_us)};
}

}  // namespace

absl::Status MeasureThroughput(const Rig& rig) {
  const absl::StatusOr<Comparison> kept =
      Compare(rig, {.kind = LoadKind::kKeepAlive, .connections = 64});
  if (!kept.ok()) return kept.status();
  const absl::StatusOr<Comparison> fresh =
      Compare(rig, {.kind = LoadKind::kNew, .connections = 32});
  if (!fresh.ok()) return fresh.status();
  rig.bars->AtLeast("throughput with zdd / without, keep-alive", kept->throughput, kBar, "x");
  rig.bars->Note("  processor time of a request, with / without", kept->cpu, "x");
  rig.bars->Note("throughput with zdd / without, new connections", fresh->throughput, "x");
  rig.bars->Note("  processor time of a request, with / without", fresh->cpu, "x");
  return absl::OkStatus();
}

}  // namespace zdd
