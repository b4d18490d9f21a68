// What the measurements of a restart share: the servers, a directory, and a table of bars.
//
// Threads: one. Lifetime: a guard (examples/demo/guard.h) ends what is left of processes and files.
// Errors: what went otherwise than it should; a figure that misses its bar is none.
#ifndef BENCHMARKS_RESTART_RIG_H_
#define BENCHMARKS_RESTART_RIG_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "benchmarks/util/bars.h"
#include "examples/demo/deployment.h"
#include "tests/load/load_client.h"

namespace zdd {

struct Rig {
  std::string server;       // //examples/http_server
  std::string bare_server;  // the same without zdd
  std::string directory;
  Bars* bars;

  // A new server, its first version v1, with a directory of its own.
  absl::StatusOr<demo::Deployment> Deploy(absl::string_view name,
                                          std::vector<std::string> flags) const;
};

// Brings version after version, and marks each in `load`. The next one is not begun before the one
// before owns the service.
struct Restarts {
  int first_version = 2;  // "v2"
  int count = 20;
  absl::Duration pause;  // after each
};
absl::Status RestartOften(demo::Deployment* server, LoadClient* load, const Restarts& restarts);

// Runs when each group has had an answer.
absl::StatusOr<std::unique_ptr<LoadClient>> StartLoad(const std::string& address,
                                                      std::vector<LoadGroup> groups);

// The middle one. REQUIRES: not empty.
absl::Duration Median(std::vector<absl::Duration> values);
double Median(std::vector<double> values);

// Each adds its figures to rig.bars.
absl::Status MeasureTakeover(const Rig& rig);    // signal to first answer, beyond start-up
absl::Status MeasureSpawnPause(const Rig& rig);  // with a heap of 4 GiB
absl::Status MeasureLatency(const Rig& rig);     // p99 around restarts at 70 % of saturation
absl::Status MeasureKeepAlive(const Rig& rig);   // losses in 20 restarts
absl::Status MeasureThroughput(const Rig& rig);  // with zdd and without

}  // namespace zdd

#endif  // BENCHMARKS_RESTART_RIG_H_
