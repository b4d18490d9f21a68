// What the measurements of a drain share.
//
// Threads: one. Errors: what went otherwise than it should; a figure that misses its bar is none.
#ifndef BENCHMARKS_DRAIN_DRAIN_H_
#define BENCHMARKS_DRAIN_DRAIN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "benchmarks/util/bars.h"

namespace zdd {

struct Rig {
  std::string epoll;   // //examples/embed/epoll
  std::string server;  // //examples/http_server
  std::string directory;
  Bars* bars;
};

// Passes so many descriptors (a multiple of 16) to another process.
absl::StatusOr<absl::Duration> PassBare(int count);
void AwaitReadable(int fd);

// Each adds its figures to rig.bars.
absl::Status MeasureMoving(const Rig& rig);   // 1,000 and 10,000 connections
absl::Status MeasureLoaded(const Rig& rig);   // a predecessor's end, with 1,000 that ask
absl::Status MeasureHundred(const Rig& rig);  // 100,000 at once, of several services

}  // namespace zdd

#endif  // BENCHMARKS_DRAIN_DRAIN_H_
