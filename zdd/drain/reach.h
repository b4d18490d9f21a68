// Reach says how far each wave of a drain has come, and so what is due for any one ticket.
//
// Every ticket has a place, a 32-bit number that is fixed, even over all tickets, and random in
// respect of everything else (see TicketSlab). A wave has reached all places below its number and
// only grows. So no ticket needs a timer or a list, and one that enters late knows what it missed.
//
//   Ask due = Due(reach, place, busy, entered);      // what this ticket should have been asked
//
// Threads: a value.
#ifndef ZDD_DRAIN_REACH_H_
#define ZDD_DRAIN_REACH_H_

#include <array>
#include <cstdint>

#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/plan.h"

namespace zdd {

struct Reach {
  static constexpr uint64_t kAll = uint64_t{1} << 32;

  uint64_t goodbye = 0;
  uint64_t when_idle = 0;
  uint64_t cut = 0;
  // kCloseWhenIdle is for tickets that had entered by then: later ones heard their goodbye later.
  Instant idle_entered_by;

  friend bool operator==(const Reach&, const Reach&) = default;
};

// Of each class of a plan; class 0 is whatever has none of its own.
using Reaches = std::array<Reach, kDrainClassesMax>;

inline Ask Due(const Reach& reach, uint32_t place, bool busy, Instant entered) {
  if (place < reach.cut) return Ask::kCloseNow;
  if (place < reach.when_idle && !busy && entered <= reach.idle_entered_by) {
    return Ask::kCloseWhenIdle;
  }
  return place < reach.goodbye ? Ask::kGoodbye : Ask::kNone;
}

}  // namespace zdd

#endif  // ZDD_DRAIN_REACH_H_
