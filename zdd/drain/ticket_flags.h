// TicketFlags are the bytes of a ticket that its owner and the drain both touch. They are here,
// apart from the rest of the slot, so that Ticket's hot operations can be inlined.
//
// Threads: each byte has one writer at a time: `life` is the owner's, `level` the drain's, `pin`
// whoever holds it.
#ifndef ZDD_DRAIN_TICKET_FLAGS_H_
#define ZDD_DRAIN_TICKET_FLAGS_H_

#include <atomic>
#include <cstdint>

namespace zdd {

struct TicketFlags {
  // kLive | kBusy; kLive | kMoving: its connection was given to Migrate(), nobody touches it.
  enum Life : uint8_t { kFree = 0, kLive = 1, kBusy = 2, kMoving = 4 };

  std::atomic<uint8_t> life{kFree};
  std::atomic<uint8_t> level{0};  // the highest Ask so far
  // Not 0: somebody is using the fd or the callback, and a leaving owner waits. Pairs with `life`:
  // both sides write their own byte and then read the other's, sequentially consistent, so that at
  // least one sees the other.
  std::atomic<uint8_t> pin{0};
};

}  // namespace zdd

#endif  // ZDD_DRAIN_TICKET_FLAGS_H_
