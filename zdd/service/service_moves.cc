// The service's part in live migration: who goes, who comes, and who comes back.
#include <memory>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "zdd/service/accept.h"
#include "zdd/service/service_core.h"

namespace zdd {

void ServiceCore::WatchMigrations() {
  mover_ = std::make_unique<Mover>(loop_.get(), log_.get(), this);
  tickets_->SetMigrateSink([post = loop_->poster(), weak = weak_from_this()](
                               Ticket ticket, OwnedFd fd, std::string state) {
    // The ticket dies before its fd, also in a task that is dropped.
    struct Given {
      OwnedFd fd;
      Ticket ticket;
      std::string state;
    };
    post([weak, given = Given{std::move(fd), std::move(ticket), std::move(state)}]() mutable {
      auto self = weak.lock();
      if (self == nullptr || self->mover_ == nullptr) return;
      self->OnMigrate(std::move(given.ticket), std::move(given.fd), std::move(given.state));
    });
  });
}

// In standby only what can also come home; once the drain begins, all that the peer reads.
void ServiceCore::BeginMoving() {
  const bool both_ways = generation_->phase() == Phase::kStandby;
  std::map<std::string, std::string> movable =
      listeners_->Movable(generation_->peer_reads(), both_ways);
  if (movable.empty()) return;
  std::vector<std::string> kinds;
  for (const auto& [listener, format] : movable) {
    // One that drains alone goes on doing so until all drain.
    if (both_ways && listeners_->Find(listener)->draining()) continue;
    kinds.push_back(listener);
  }
  PrepareDrain();
  drain_->Move(
      kinds, [this] { return mover_->pending(); }, MonotonicNow());
  if (mover_->moving()) return mover_->Widen(std::move(movable));
  mover_->Begin(generation_->peer_number(), std::move(movable), generation_->peer_free_fds());
}

void ServiceCore::OnMigrate(Ticket ticket, OwnedFd fd, std::string state) {
  Migrant migrant;
  migrant.listener = tickets_->KindName(tickets_->KindOf(ticket));
  migrant.age = tickets_->AgeOf(ticket);
  migrant.fd = std::move(fd);
  migrant.ticket = std::move(ticket);
  migrant.state = std::move(state);
  mover_->Add(std::move(migrant));
}

bool ServiceCore::SendPair(OwnedFd theirs) { return generation_->SendPair(std::move(theirs)); }

void ServiceCore::OnMoved(Ticket ticket) {
  if (drain_ != nullptr) return drain_->Moved(std::move(ticket));
  tickets_->EndMoved(std::move(ticket));
}

void ServiceCore::OnCameBack(Migrant migrant, bool again) {
  if (drain_ != nullptr) {
    drain_->CameBack(migrant.ticket, migrant.fd.get(), again);
  } else {
    tickets_->Revive(migrant.ticket, migrant.fd.get(), Ask::kNone, true);
  }
  ListenerCore* const listener = listeners_->Find(migrant.listener);
  if (listener != nullptr && listener->Deliver(std::move(migrant.fd), std::move(migrant.ticket),
                                               std::move(migrant.state), nullptr)) {
    return;
  }
  log_->Error("migration.lost",
              absl::StrCat("Ticket::Migrate() of \"", migrant.listener,
                           "\": no listener of that name gives connections any more (Accept() "
                           "or OnConnection), so this one was closed"));
}

void ServiceCore::OnMovingEnded() {
  if (drain_ == nullptr) return;
  drain_->EndMoving(MonotonicNow());
  TickDrain();
}

void ServiceCore::OnPair(int generation, OwnedFd pair) {
  mover_->Receive(generation, std::move(pair));
}

void ServiceCore::OnGenerationDead(int generation) { mover_->OnGenerationDead(generation); }

absl::Status ServiceCore::CheckMigrant(const BatchItem& item) {
  const ListenerCore* const listener = listeners_->Find(item.listener);
  if (listener == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("this version has no listener \"", item.listener, "\""));
  }
  if (listener->draining()) {
    return absl::UnavailableError(absl::StrCat("listener \"", item.listener, "\" drains here"));
  }
  if (listener->Reads(item.format)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("listener \"", item.listener,
                                                 "\" does not read the format \"", item.format,
                                                 "\" in this version"));
}

// Each wake-up of another thread costs more than all else that is done for a connection: so a batch
// goes to the executor as one task, and is told to be taken up once.
void ServiceCore::Adopt(std::vector<Migrant> batch, Task taken) {
  auto last = absl::MakeCleanup([taken = std::move(taken)]() mutable { taken(); });
  auto each = std::make_shared<decltype(last)>(std::move(last));
  Callbacks::Together together(callbacks_.get());
  for (Migrant& migrant : batch) {
    ListenerCore* const listener = listeners_->Find(migrant.listener);
    if (listener == nullptr) continue;
    Ticket ticket = listener->Enter(migrant.fd.get());
    tickets_->MarkAdopted(ticket);
    listener->Deliver(std::move(migrant.fd), std::move(ticket), std::move(migrant.state),
                      [each]() mutable { each.reset(); });
  }
}

}  // namespace zdd
