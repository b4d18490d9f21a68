// What a restart does to latency at 70 % of what the server can do: p99 in the 250 ms from each
// restart on, against p99 of the rest of the same run.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "benchmarks/restart/rig.h"

namespace zdd {
namespace {

constexpr int kConnections = 64;
constexpr int kRestarts = 20;
constexpr double kLoad = 0.7;
constexpr double kBar = 1.5;
constexpr absl::Duration kSaturate = absl::Seconds(3);
constexpr absl::Duration kBetween = absl::Milliseconds(700);

absl::StatusOr<double> Saturation(const std::string& address) {
  auto load = StartLoad(address, {{.kind = LoadKind::kKeepAlive, .connections = kConnections}});
  if (!load.ok()) return load.status();
  absl::SleepFor(kSaturate);
  const LoadReport report = (*load)->Stop();
  return static_cast<double>(report.requests()) / absl::ToDoubleSeconds(report.elapsed);
}

}  // namespace

absl::Status MeasureLatency(const Rig& rig) {
  absl::StatusOr<demo::Deployment> server =
      rig.Deploy("latency", {"--threads=1", "--standby=100ms", "--spread=100ms", "--grace=1s"});
  if (!server.ok()) return server.status();
  const absl::StatusOr<double> saturation = Saturation(server->address());
  if (!saturation.ok()) return saturation.status();
  auto load = StartLoad(
      server->address(),
      {{.kind = LoadKind::kKeepAlive, .connections = kConnections, .rate = kLoad * *saturation}});
  if (!load.ok()) return load.status();
  absl::SleepFor(kBetween);
  const absl::Status status = RestartOften(&*server, load->get(), kRestarts, kBetween);
  if (!status.ok()) return status;
  const LoadGroupReport seen = (*load)->Stop().Sum();
  const absl::Duration steady = seen.steady.Percentile(99);
  const absl::Duration around = seen.around.Percentile(99);
  rig.bars->Note("saturation, one thread, 64 connections", *saturation, "/s");
  rig.bars->Note("p99 at 70 % of it, steady", absl::ToDoubleMilliseconds(steady), "ms");
  rig.bars->Note("p99 in the 250 ms from a restart on", absl::ToDoubleMilliseconds(around), "ms");
  rig.bars->AtMost("p99 around restarts / steady", absl::FDivDuration(around, steady), kBar, "x");
  rig.bars->AtMost("requests lost at 70 %", static_cast<double>(seen.lost()), 0, "");
  return server->Stop();
}

}  // namespace zdd
