// What a restart costs, each figure beside its bar, all measured in one run. For servers of
// examples/http_server, one thread each, and a client on another core.
//
//   bazel run -c opt //benchmarks/restart -- --json=restart.json
#include <stdio.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "benchmarks/restart/rig.h"
#include "benchmarks/util/bars.h"
#include "examples/demo/guard.h"

ABSL_FLAG(std::string, json, "", "a file for the figures");
ABSL_FLAG(std::string, only, "", "takeover, spawn, latency, keep_alive or throughput");

namespace {

struct Measurement {
  const char* name;
  absl::Status (*measure)(const zdd::Rig& rig);
};

constexpr Measurement kMeasurements[] = {{"takeover", zdd::MeasureTakeover},
                                         {"spawn", zdd::MeasureSpawnPause},
                                         {"latency", zdd::MeasureLatency},
                                         {"keep_alive", zdd::MeasureKeepAlive},
                                         {"throughput", zdd::MeasureThroughput}};

// Built beside this program.
std::string Sibling(const std::string& name) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path() / "../../examples/http_server" / name;
}

int Measure(const std::string& directory) {
  zdd::Bars bars("restart");
  const zdd::Rig rig = {Sibling("http_server"), Sibling("http_server_bare"), directory, &bars};
  bool failed = false;
  for (const Measurement& measurement : kMeasurements) {
    const std::string only = absl::GetFlag(FLAGS_only);
    if (!only.empty() && only != measurement.name) continue;
    const absl::Status status = measurement.measure(rig);
    if (status.ok()) continue;
    fprintf(stderr, "%s: %s\n", measurement.name, std::string(status.message()).c_str());
    failed = true;
  }
  const int code = bars.Finish(absl::GetFlag(FLAGS_json));
  return failed ? 2 : code;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures what a restart costs.");
  absl::ParseCommandLine(argc, argv);
  return demo::RunGuarded(Measure);
}
