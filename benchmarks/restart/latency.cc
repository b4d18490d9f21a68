// What a restart does to latency at 70 % of what the server can do: p99 in the 250 ms from each
// restart on, against p99 of the rest of the same run. Beside it, what the mere start of the same
// program does, which nobody's connections go to: on a machine whose cores are taken by server and
// client, its 17 ms come out of theirs, 7 % of the window. There the bar is for what a restart adds
// to that; with a core to spare, for the whole.
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "benchmarks/restart/lone_server.h"
#include "benchmarks/restart/rig.h"

namespace zdd {
namespace {

constexpr int kConnections = 64;
constexpr int kRounds = 5;
constexpr int kRestarts = 4;
constexpr double kLoad = 0.7;
constexpr double kBar = 1.5;
constexpr unsigned kCores = 3;  // server, client, the program that starts
constexpr absl::Duration kSaturate = absl::Seconds(1);
constexpr absl::Duration kBetween = absl::Milliseconds(500);

struct Seen {
  absl::Duration steady;  // p99
  absl::Duration around;
  int64_t lost;
  double ratio() const { return absl::FDivDuration(around, steady); }
};

struct Round {
  double saturation;
  Seen restarts;
  Seen starts;
};

absl::StatusOr<double> Saturation(const std::string& address) {
  auto load = StartLoad(address, {{.kind = LoadKind::kKeepAlive, .connections = kConnections}});
  if (!load.ok()) return load.status();
  absl::SleepFor(kSaturate);
  const LoadReport report = (*load)->Stop();
  return static_cast<double>(report.requests()) / absl::ToDoubleSeconds(report.elapsed);
}

// Of a steady load, while `disturb(load)` runs.
template <typename Disturb>
absl::StatusOr<Seen> Observe(const std::string& address, double rate, Disturb disturb) {
  auto load = StartLoad(
      address, {{.kind = LoadKind::kKeepAlive, .connections = kConnections, .rate = rate}});
  if (!load.ok()) return load.status();
  absl::SleepFor(kBetween);
  const absl::Status status = disturb(load->get());
  if (!status.ok()) return status;
  const LoadGroupReport seen = (*load)->Stop().Sum();
  return Seen{seen.steady.Percentile(99), seen.around.Percentile(99), seen.lost()};
}

absl::Status StartOthers(const Rig& rig, LoadClient* load) {
  for (int i = 0; i < kRestarts; ++i) {
    load->Mark("start");
    load->MarkEnd();
    const absl::StatusOr<LoneServer> other = LoneServer::Start(rig);
    if (!other.ok()) return other.status();
    absl::SleepFor(kBetween);
  }
  return absl::OkStatus();
}

absl::StatusOr<Round> MeasureRound(const Rig& rig, demo::Deployment* server, int first_version) {
  const absl::StatusOr<double> saturation = Saturation(server->address());
  if (!saturation.ok()) return saturation.status();
  const double rate = kLoad * *saturation;
  const absl::StatusOr<Seen> restarts = Observe(server->address(), rate, [&](LoadClient* load) {
    return RestartOften(server, load, {first_version, kRestarts, kBetween});
  });
  if (!restarts.ok()) return restarts.status();
  const absl::StatusOr<Seen> starts =
      Observe(server->address(), rate, [&](LoadClient* load) { return StartOthers(rig, load); });
  if (!starts.ok()) return starts.status();
  return Round{*saturation, *restarts, *starts};
}

void Tell(const std::vector<Round>& rounds, Bars* bars) {
  const auto median = [&](auto figure) {
    std::vector<double> values;
    for (const Round& round : rounds) values.push_back(figure(round));
    return Median(std::move(values));
  };
  const auto ms = [](absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); };
  bars->Note("saturation, one thread, 64 connections",
             median([](const Round& round) { return round.saturation; }), "/s");
  bars->Note("p99 at 70 % of it, steady",
             median([&](const Round& round) { return ms(round.restarts.steady); }), "ms");
  bars->Note("p99 in the 250 ms from a restart on",
             median([&](const Round& round) { return ms(round.restarts.around); }), "ms");
  bars->Note("p99 in the 250 ms from a mere start of the program on",
             median([&](const Round& round) { return ms(round.starts.around); }), "ms");
  const double whole = median([](const Round& round) { return round.restarts.ratio(); });
  const double added = median([](const Round& round) {
    return absl::FDivDuration(round.restarts.around, round.starts.around);
  });
  if (std::thread::hardware_concurrency() < kCores) {
    bars->Note("p99 around restarts / steady, no core to spare", whole, "x");
    bars->AtMost("p99 around restarts / around mere starts", added, kBar, "x");
  } else {
    bars->AtMost("p99 around restarts / steady", whole, kBar, "x");
    bars->Note("p99 around restarts / around mere starts", added, "x");
  }
}

}  // namespace

// Each round measures saturation anew: on a machine that is shared it drifts.
absl::Status MeasureLatency(const Rig& rig) {
  absl::StatusOr<demo::Deployment> server =
      rig.Deploy("latency", {"--threads=1", "--standby=100ms", "--spread=100ms", "--grace=1s"});
  if (!server.ok()) return server.status();
  std::vector<Round> rounds;
  int64_t lost = 0;
  for (int i = 0; i < kRounds; ++i) {
    const absl::StatusOr<Round> round = MeasureRound(rig, &*server, 2 + i * kRestarts);
    if (!round.ok()) return round.status();
    lost += round->restarts.lost + round->starts.lost;
    rounds.push_back(*round);
  }
  Tell(rounds, rig.bars);
  rig.bars->AtMost("requests lost meanwhile", static_cast<double>(lost), 0, "");
  return server->Stop();
}

}  // namespace zdd
