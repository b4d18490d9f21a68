#include "zdd/drain/asking.h"

#include <algorithm>

#include "zdd/drain/tracked_socket.h"

namespace zdd {
namespace {

bool IsMoving(const TicketSlot& slot) {
  return (slot.life.load(std::memory_order_seq_cst) & TicketFlags::kMoving) != 0;
}

bool IsBusy(const TicketSlot& slot) {
  return (slot.life.load(std::memory_order_seq_cst) & TicketFlags::kBusy) != 0;
}

Ask LevelOf(const TicketSlot& slot) {
  return static_cast<Ask>(slot.level.load(std::memory_order_relaxed));
}

bool HasCallback(const TicketSlot& slot) {
  return slot.has_callback.load(std::memory_order_relaxed) != 0;
}

// The highest ask that was carried out, in the way in which it would be now.
Ask CarriedOut(const TicketSlot& slot) {
  const std::atomic<uint8_t>& mark = HasCallback(slot) ? slot.told : slot.done;
  return static_cast<Ask>(mark.load(std::memory_order_relaxed));
}

Ask DueFor(const TicketCore& core, const TicketSlot& slot, const Reach& reach, bool busy) {
  const int64_t entered_ns = slot.entered_ns.load(std::memory_order_relaxed);
  return Due(reach, core.PlaceOf(slot), busy, absl::Nanoseconds(entered_ns));
}

// What the ticket is to be told now: its level, but for a busy one that was idle when it got that.
Ask ToTell(const TicketSlot& slot, bool busy) {
  const Ask level = LevelOf(slot);
  return busy && level == Ask::kCloseWhenIdle ? Ask::kGoodbye : level;
}

// True if `ask` needs no second look.
bool DoFromOutside(TicketCore* core, const TicketSlot& slot, Ask ask) {
  if (slot.fd < 0 || ask < Ask::kCloseWhenIdle) return true;
  const OutsideClose result =
      ask == Ask::kCloseNow ? CloseNow(slot.fd, slot.cookie) : CloseQuiet(slot.fd, slot.cookie);
  switch (result) {
    case OutsideClose::kDone:
      return true;
    case OutsideClose::kRaced:
      core->tally().LostRace(slot.kind.load(std::memory_order_relaxed));
      return true;
    case OutsideClose::kStranger:
      core->tally().OutlivedFd(slot.kind.load(std::memory_order_relaxed));
      return true;
    case OutsideClose::kNotQuiet:
      return false;
  }
  return true;
}

void AskPinned(TicketCore* core, TicketSlot* slot, const Reach& reach) {
  if (IsMoving(*slot)) return;
  const bool busy = IsBusy(*slot);
  const Ask level = std::max(LevelOf(*slot), DueFor(*core, *slot, reach, busy));
  slot->level.store(static_cast<uint8_t>(level), std::memory_order_relaxed);
  const Ask ask = ToTell(*slot, busy);
  if (ask <= CarriedOut(*slot)) return;
  if (HasCallback(*slot)) {
    slot->told.store(static_cast<uint8_t>(ask), std::memory_order_relaxed);
    core->RunCallback(slot, ask);
  } else if (DoFromOutside(core, *slot, ask)) {
    slot->done.store(static_cast<uint8_t>(ask), std::memory_order_relaxed);
  }
}

}  // namespace

void AskIfDue(TicketCore* core, TicketSlot* slot, const Reach& reach) {
  const uint8_t life = slot->life.load(std::memory_order_acquire);
  if (life == TicketFlags::kFree || (life & TicketFlags::kMoving) != 0) return;
  const bool busy = IsBusy(*slot);
  // Without the pin, so that a walk over tickets that have heard everything costs a read of each.
  if (DueFor(*core, *slot, reach, busy) <= LevelOf(*slot) &&
      ToTell(*slot, busy) <= CarriedOut(*slot)) {
    return;
  }
  core->WithPin(slot, [=] { AskPinned(core, slot, reach); });
}

AskedToMove AskToMove(TicketCore* core, TicketSlot* slot, const Kinds& kinds) {
  AskedToMove result = AskedToMove::kNo;
  core->WithPin(slot, [&] {
    if (!kinds[slot->kind.load(std::memory_order_relaxed)]) return;  // another one by now
    if (IsMoving(*slot) || LevelOf(*slot) != Ask::kNone) return;
    if (slot->done.load(std::memory_order_relaxed) != 0) return;  // it has come back
    slot->level.store(static_cast<uint8_t>(Ask::kMigrate), std::memory_order_relaxed);
    const bool busy = IsBusy(*slot);
    result = busy ? AskedToMove::kBusy : AskedToMove::kSilent;
    if (!HasCallback(*slot)) return;
    slot->told.store(static_cast<uint8_t>(Ask::kMigrate), std::memory_order_relaxed);
    if (!busy) result = AskedToMove::kIdle;
    core->RunCallback(slot, Ask::kMigrate);
  });
  return result;
}

}  // namespace zdd
