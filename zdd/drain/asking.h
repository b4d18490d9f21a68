// Asking one ticket: what is due is found, told to its callback, or done to its socket from
// outside.
//
// Threads: the drain's.
#ifndef ZDD_DRAIN_ASKING_H_
#define ZDD_DRAIN_ASKING_H_

#include "zdd/drain/reach.h"
#include "zdd/drain/ticket_core.h"

namespace zdd {

// Asks the ticket in `slot`, if there is one, what `reach` says is due and it has not heard. A busy
// one is never asked to close when idle; it is looked at again in the next pass.
void AskIfDue(TicketCore* core, TicketSlot* slot, const Reach& reach);

// Asks the ticket in `slot` to move, if it has not been asked anything yet.
enum class AskedToMove {
  kNo,      // it is gone, moving, or was asked already
  kBusy,    // it moves when its request is done
  kIdle,    // its callback was told, and it has not gone at once
  kSilent,  // idle, without a callback: it is to be woken by its AskedFd
};
AskedToMove AskToMove(TicketCore* core, TicketSlot* slot, const Kinds& kinds);

}  // namespace zdd

#endif  // ZDD_DRAIN_ASKING_H_
