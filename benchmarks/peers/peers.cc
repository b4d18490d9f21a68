// What clients notice of a restart: nginx, HAProxy, a Go server on tableflip and http_server, with
// connections that move and with ones that do not, all through the same restarts under the same
// load, one after the other. docs/peers.md says what the figures mean.
//
//   ./run bench peers --json=peers.json --svg=peers.svg --restarts=20
#include <stdio.h>
#include <sys/utsname.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/peers/findings.h"
#include "benchmarks/peers/measure.h"
#include "benchmarks/peers/program.h"
#include "benchmarks/peers/recipes.h"
#include "benchmarks/util/bars.h"
#include "examples/demo/guard.h"
#include "tests/util/free_address.h"

ABSL_FLAG(std::string, json, "", "a file for the figures");
ABSL_FLAG(std::string, svg, "", "a file for the chart");
ABSL_FLAG(std::string, only, "", "the peers whose names begin so");
ABSL_FLAG(int, restarts, 6, "of each peer in each session");

namespace zdd {
namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "peers: %s\n", std::string(status.message()).c_str());
  return 2;
}

std::string Runfiles() {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return absl::StrCat(self.string(), ".runfiles/zdd");
}

// "2026-11-25, 2 cores, Linux 6.18.5".
std::string Machine() {
  utsname names = {};
  uname(&names);
  return absl::StrCat(absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone()), ", ",
                      std::thread::hardware_concurrency(), " cores, ", names.sysname, " ",
                      names.release);
}

absl::StatusOr<Program> StartBackend(const Kitchen& kitchen) {
  return Program::Start(
      {absl::StrCat(kitchen.root, "/examples/http_server/http_server_bare"),
       absl::StrCat("--listen=", kitchen.backend), "--version_label=backend", "--threads=1"},
      kitchen.directory + "/backend.log");
}

bool WriteFile(const std::string& path, const std::string& text) {
  if (path.empty()) return true;
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) fprintf(stderr, "peers: write %s: failed\n", path.c_str());
  return !file.fail();
}

// Whether each that is here went through it.
bool MeasureAll(const Kitchen& kitchen, Findings* findings) {
  bool all = true;
  int number = 0;
  for (const Recipe& recipe : Recipes(kitchen)) {
    if (!absl::StartsWith(recipe.name, absl::GetFlag(FLAGS_only))) continue;
    PeerFindings peer = {recipe.name, recipe.missing()};
    if (peer.missing.empty()) {
      fprintf(stderr, "%s ...\n", recipe.name.c_str());
      absl::StatusOr<PeerFindings> measured =
          MeasurePeer(recipe, absl::StrCat(kitchen.directory, "/", ++number), findings->restarts);
      if (!measured.ok()) peer.missing = std::string(measured.status().message());
      if (measured.ok()) peer = *std::move(measured);
      all = all && measured.ok();
    }
    findings->peers.push_back(std::move(peer));
  }
  return all;
}

void AddBars(const Findings& findings, Bars* bars) {
  for (const PeerFindings& peer : findings.peers) {
    if (!Moves(peer.name)) continue;
    LoadGroupReport sum;
    for (const Seen& seen : peer.sessions) {
      for (const LoadGroupReport& group : seen.groups) sum.Merge(group);
    }
    bars->AtMost(absl::StrCat(peer.name, ": requests failed of ", WithCommas(sum.ended())),
                 static_cast<double>(sum.lost()), 0, "");
    bars->AtMost(absl::StrCat(peer.name, ": reconnects forced"),
                 static_cast<double>(sum.reconnects()), 0, "");
    bars->Note("  moves of connections, by X-Version", static_cast<double>(sum.moved), "");
  }
}

int Measure(const std::string& directory) {
  const absl::StatusOr<std::string> backend_address = FreeAddress();
  if (!backend_address.ok()) return Fail(backend_address.status());
  const Kitchen kitchen = {Runfiles(), directory, *backend_address};
  const absl::StatusOr<Program> backend = StartBackend(kitchen);
  if (!backend.ok()) return Fail(backend.status());
  Findings findings = {Machine(), absl::GetFlag(FLAGS_restarts)};
  const bool all = MeasureAll(kitchen, &findings);
  printf("%s\n%s\n", ToTable(findings).c_str(), ToSummary(findings).c_str());
  const bool written = WriteFile(absl::GetFlag(FLAGS_json), ToJson(findings)) &&
                       WriteFile(absl::GetFlag(FLAGS_svg), ToSvg(findings));
  Bars bars("peers");
  AddBars(findings, &bars);
  const int code = bars.Finish("");
  return all && written ? code : 2;
}

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Compares what clients notice of restarts.");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_restarts) < 1) {
    fprintf(stderr, "peers: --restarts: at least 1\n");
    return 2;
  }
  return demo::RunGuarded(zdd::Measure);
}
