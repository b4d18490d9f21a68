#include "zdd/drain/ticket.h"

#include "zdd/drain/ticket_core.h"

namespace zdd {

void Ticket::Leave(TicketCore* core, TicketFlags* flags) {
  core->Leave(static_cast<TicketSlot*>(flags));
}

int Ticket::AskedFd() {
  return flags_ == nullptr ? -1 : core_->AskedFd(static_cast<TicketSlot*>(flags_));
}

void Ticket::CountLostRace() {
  if (flags_ != nullptr) core_->CountLostRace(static_cast<TicketSlot*>(flags_));
}

void Ticket::Migrate(OwnedFd fd, std::string state) && {
  if (flags_ == nullptr) return;
  TicketFlags* const flags = std::exchange(flags_, nullptr);
  core_->Migrate(static_cast<TicketSlot*>(flags), std::move(fd), std::move(state));
}

void Ticket::OnAsk(absl::AnyInvocable<void(Ask)> callback) {
  if (flags_ != nullptr) core_->OnAsk(static_cast<TicketSlot*>(flags_), std::move(callback));
}

}  // namespace zdd
