// DrainProgress says how a drain stands, DrainReport how it went. Plain data.
//
// entered == ended() + those that are still there, which when drained are `late`.
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

// How many are there.
struct KindCounts {
  int64_t total = 0;
  int64_t busy = 0;
  int64_t idle = 0;
};

struct TicketCounts : KindCounts {
  std::map<std::string, KindCounts> by_kind;
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
  // Closed when idle since zdd asked for it (kCloseWhenIdle), just when the client sent: such a
  // request was not processed, and may be repeated. Counted by zdd where it closes itself, by
  // CloseGently(), and by servers that call Ticket::CountLostRace(). What a client sends after a
  // response that said it would be the last does not count, nor what is cut.
  int64_t lost_race = 0;
  // Connections that were to move and came back: refused, or not acknowledged in time.
  int64_t came_back = 0;
  // Tickets that outlived their fd, which is a bug of the server's: nothing was done to whoever has
  // that number now.
  int64_t outlived_fd = 0;

  int64_t ended() const { return finished + moved + closed + cut; }

  std::vector<Straggler> stragglers;  // still there at the end, oldest first
  std::vector<Straggler> at_cut;      // there when the first of them was cut, oldest first
};

// A moment of a drain, or of a service that does not drain: then only `now` and `oldest` say
// something.
struct DrainProgress {
  static constexpr int kOldestMax = 10;

  std::string state = "serving";  // or "delay", "asking", "waiting", "cutting", "drained"
  TicketCounts now;
  std::vector<Straggler> oldest;  // of those that are there, oldest first
  double ended_per_second = 0;    // over the last 5 s: finished, moved, closed or cut
  // Until the end, estimated: by the plan as long as idle ones are still to be asked, else (they
  // move, or busy ones are waited for) by the rate.
  absl::Duration expected;
  absl::Duration at_most;  // until the drain ends in any case
  DrainReport so_far;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_REPORT_H_
