// Keep-alive requests lost in 20 restarts. Closing an idle connection loses the request that
// crosses the close, unless there is a grace in which requests are still answered: here ten times
// what clients think.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/restart/rig.h"

namespace zdd {
namespace {

constexpr int kRestarts = 20;
constexpr absl::Duration kBetween = absl::Milliseconds(400);

struct Mode {
  std::string name;
  LoadGroup group;
};

std::vector<Mode> Modes() {
  const LoadKind kind = LoadKind::kKeepAlive;
  return {{"2,000/s on 64", {.kind = kind, .connections = 64, .rate = 2000}},
          {"saturated on 64", {.kind = kind, .connections = 64}},
          {"think 100 ms on 200",
           {.kind = kind, .connections = 200, .think = absl::Milliseconds(100)}}};
}

absl::Status MeasureMode(const Rig& rig, const Mode& mode, absl::string_view place) {
  absl::StatusOr<demo::Deployment> server =
      rig.Deploy(place, {"--threads=1", "--standby=100ms", "--spread=100ms", "--grace=1s"});
  if (!server.ok()) return server.status();
  auto load = StartLoad(server->address(), {mode.group});
  if (!load.ok()) return load.status();
  const absl::Status status =
      RestartOften(&*server, load->get(), {.count = kRestarts, .pause = kBetween});
  if (!status.ok()) return status;
  const LoadReport report = (*load)->Stop();
  rig.bars->AtMost(
      absl::StrCat("lost of ", WithCommas(report.requests()), " keep-alive requests, ", mode.name),
      static_cast<double>(report.lost()), 0, "");
  rig.bars->Note("  asked to reconnect in a restart",
                 static_cast<double>(report.reconnects()) / kRestarts, "");
  return server->Stop();
}

}  // namespace

absl::Status MeasureKeepAlive(const Rig& rig) {
  int number = 0;
  for (const Mode& mode : Modes()) {
    const absl::Status status = MeasureMode(rig, mode, absl::StrCat("keep_alive", ++number));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace zdd
