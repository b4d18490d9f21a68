// What it costs to empty a server, each figure beside its bar, all measured in one run. What a
// ticket costs is in //benchmarks/ticket.
//
//   bazel run -c opt //benchmarks/drain -- --json=drain.json
#include "benchmarks/drain/drain.h"

#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "examples/demo/guard.h"

ABSL_FLAG(std::string, json, "", "a file for the figures");
ABSL_FLAG(std::string, only, "", "moving, loaded or hundred");

namespace zdd {

void AwaitReadable(int fd) {
  pollfd polled = {fd, POLLIN, 0};
  poll(&polled, 1, -1);
}

namespace {

struct Measurement {
  const char* name;
  absl::Status (*measure)(const Rig& rig);
};

constexpr Measurement kMeasurements[] = {
    {"moving", MeasureMoving}, {"loaded", MeasureLoaded}, {"hundred", MeasureHundred}};

// Built beside this program.
std::string Sibling(const std::string& name) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path() / "../../examples" / name;
}

int Measure(const std::string& directory) {
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Bars bars("drain");
  const Rig rig = {Sibling("embed/epoll/epoll"), Sibling("http_server/http_server"), directory,
                   &bars};
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
}  // namespace zdd

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures what it costs to empty a server.");
  absl::ParseCommandLine(argc, argv);
  return demo::RunGuarded(zdd::Measure);
}
