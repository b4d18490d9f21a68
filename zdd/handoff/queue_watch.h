// QueueWatch finds a server that hangs behind a loop that answers: connections wait on a listener
// that it has claimed, and it takes none. A pure value.
//
//   if (watch.Look(listeners.ClaimedQueues(), now, /*helping=*/false)) Handle(Event::kStuck);
//   ...
//   if (watch.stuck()) RollBack();      // once we let go its clients would wait for ever
//
// Threads: one at a time. Lifetime: a value; one for each handoff.
#ifndef ZDD_HANDOFF_QUEUE_WATCH_H_
#define ZDD_HANDOFF_QUEUE_WATCH_H_

#include <map>
#include <string>

#include "absl/types/optional.h"
#include "zdd/base/time.h"

namespace zdd {

// A queue that is not empty and has not shrunk for so long.
inline constexpr absl::Duration kStuckAfter = absl::Seconds(1);

class QueueWatch {
 public:
  struct Stuck {
    std::string listener;
    int waiting = 0;
  };

  // How many wait on each listener. `helping`: we take from these queues too, so that they tell
  // nothing of the other. True when this look has found one that is stuck, the first.
  bool Look(const std::map<std::string, int>& waiting, Instant now, bool helping);

  // Once found it stays: from then on we help, and it is we who empty that queue.
  const absl::optional<Stuck>& stuck() const { return stuck_; }

 private:
  struct Queue {
    int waiting = 0;
    Instant moved;
  };

  std::map<std::string, Queue> queues_;
  absl::optional<Stuck> stuck_;
};

}  // namespace zdd

#endif  // ZDD_HANDOFF_QUEUE_WATCH_H_
