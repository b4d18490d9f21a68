// DrainProgress says how a drain stands, DrainReport how it went. Plain data.
//
// When drained: entered == finished + moved + closed + cut + late.
//
// Threads: values.
#ifndef ZDD_DRAIN_DRAIN_REPORT_H_
#define ZDD_DRAIN_DRAIN_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace zdd {

// One unit of work that is still there.
struct Straggler {
  std::string kind;    // the name of its listener, or what the embedder called it
  absl::Duration age;  // since it entered
  std::string peer;    // "tcp://192.0.2.7:4711"; empty if it has no socket
  bool busy = false;
};

struct TicketCounts {
  int64_t total = 0;
  int64_t busy = 0;
  int64_t idle = 0;
  std::map<std::string, int64_t> by_kind;
};

struct DrainReport {
  // Stragglers beyond this many are counted, not listed; and so of those at the cut.
  static constexpr int kStragglersMax = 100;
  static constexpr int kAtCutMax = 10;

  std::string reason;
  absl::Duration duration;               // so far, or until drained
  bool drained = false;                  // ended; else these are the figures so far
  std::vector<std::string> adjustments;  // what had to be shortened in the plan

  int64_t entered = 0;   // in flight at the beginning, and since then
  int64_t finished = 0;  // left by themselves, before they were asked
  int64_t moved = 0;     // their connection went to the successor
  int64_t closed = 0;    // left after their goodbye
  int64_t cut = 0;       // left after they were told to close now
  int64_t late = 0;      // still there at the end, or entered after it
  // Closed when idle, but bytes came in between the last look and the close: this request may have
  // got no answer.
  int64_t lost_race = 0;
  // Connections that were to move and came back: refused, or not acknowledged in time.
  int64_t came_back = 0;
  // Tickets that outlived their fd, which is a bug of the server's: nothing was done to whoever has
  // that number now.
  int64_t outlived_fd = 0;

  std::vector<Straggler> stragglers;  // still there at the end, oldest first
  std::vector<Straggler> at_cut;      // there when the first of them was cut, oldest first
};

struct DrainProgress {
  std::string state;  // "serving", "delay", "asking", "waiting", "cutting", "drained"
  TicketCounts now;
  absl::Duration expected;  // until the last idle one is closed: the end, if nobody is busy then
  absl::Duration at_most;   // until the drain ends in any case
  DrainReport so_far;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_REPORT_H_
