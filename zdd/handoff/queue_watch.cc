#include "zdd/handoff/queue_watch.h"

namespace zdd {

bool QueueWatch::Look(const std::map<std::string, int>& waiting, Instant now, bool helping) {
  if (stuck_.has_value()) return false;
  for (const auto& [listener, count] : waiting) {
    const auto [it, added] = queues_.try_emplace(listener);
    Queue& queue = it->second;
    const bool moves = added || helping || count == 0 || count < queue.waiting;
    queue.waiting = count;
    if (moves) queue.moved = now;
    if (now - queue.moved < kStuckAfter) continue;
    stuck_ = Stuck{listener, count};
    return true;
  }
  return false;
}

}  // namespace zdd
