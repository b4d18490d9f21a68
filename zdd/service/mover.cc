#include "zdd/service/mover.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain.h"

namespace zdd {

Mover::Mover(Loop* loop, EventLog* log, MoverHost* host)
    : loop_(loop), log_(log), host_(host), sender_timer_(loop) {}

Mover::~Mover() { *alive_ = false; }

// ---- Going

void Mover::Begin(int successor, std::map<std::string, std::string> movable, int peer_free_fds) {
  successor_ = successor;
  movable_ = std::move(movable);
  limits_.peer_free_fds = peer_free_fds;
  pairs_ = 0;
  moved_ = 0;
  OpenPair();
}

void Mover::Stop(absl::string_view reason) {
  if (!moving()) return;
  if (sender_ == nullptr) {  // between two pairs
    return sender_timer_.Start(absl::ZeroDuration(),
                               [this, why = std::string(reason)] { EndMoving(why); });
  }
  sender_->Revoke(reason);
  TickSoon();
}

void Mover::OpenPair() {
  if (!moving()) return;
  SenderCallbacks callbacks;
  callbacks.moved = [this](Migrant migrant) {
    ++moved_;
    host_->OnMoved(std::move(migrant.ticket));
  };
  callbacks.returned = [this](Migrant migrant, absl::string_view why) {
    log_->Debug("migration.returned",
                absl::StrCat("a connection of listener \"", migrant.listener, "\" stays: ", why));
    host_->OnCameBack(std::move(migrant), GoesAgain());
  };
  absl::StatusOr<MigrationSender::Created> created =
      MigrationSender::Create(limits_, std::move(callbacks));
  if (!created.ok()) return EndMoving(created.status().message());
  if (!host_->SendPair(std::move(created->theirs))) return EndMoving("the successor is gone");
  ++pairs_;
  log_->Debug("migration.began",
              absl::StrCat("connections may move to generation ", successor_, " now"));
  sender_ = std::move(created->sender);
  sender_watch_ = std::make_unique<Watch>(loop_, sender_->poll_fd(), Watch::kReadable,
                                          [this] { TickSender(); });
  host_->OnRoom();
}

void Mover::Add(Migrant migrant) {
  auto format = movable_.find(migrant.listener);
  if (sender_ == nullptr || format == movable_.end()) {
    return host_->OnCameBack(std::move(migrant), format != movable_.end());
  }
  migrant.format = format->second;
  // While a batch is on its way its answer ticks, and finds whatever has gathered by then.
  const bool answer_ticks = sender_->open() && sender_->unacknowledged() > 0;
  sender_->Add(std::move(migrant), MonotonicNow());
  if (!answer_ticks) TickSoon();
}

// What a successor that does not answer had not acknowledged: the next pair may have more luck.
bool Mover::GoesAgain() const {
  return absl::IsDeadlineExceeded(sender_->broken()) && pairs_ < kPairsMax;
}

// After whatever else this turn of the loop brings, so that batches fill up.
void Mover::TickSoon() {
  if (std::exchange(tick_posted_, true)) return;
  std::weak_ptr<bool> alive = alive_;
  loop_->Post([this, alive] {
    if (alive.expired()) return;
    tick_posted_ = false;
    TickSender();
  });
}

int Mover::pending() const { return sender_ == nullptr ? Drain::kMoveCredit : sender_->pending(); }

void Mover::TickSender() {
  if (sender_ == nullptr) return;
  const Instant now = MonotonicNow();
  const Instant next = sender_->Tick(now);
  if (sender_->poll_fd() < 0) {
    sender_watch_.reset();
    if (sender_->pending() == 0) return OnPairEnded();
  }
  if (next == absl::InfiniteDuration()) {
    sender_timer_.Cancel();
  } else {
    sender_timer_.Start(next - now, [this] { TickSender(); });
  }
  host_->OnRoom();
}

void Mover::OnPairEnded() {
  const absl::Status why = sender_->broken();
  const bool goes_again = GoesAgain();
  sender_timer_.Cancel();
  sender_.reset();
  if (!goes_again) return EndMoving(why.message());
  log_->Warning("migration.paused", absl::StrCat("connections stay for now: ", why.message()));
  sender_timer_.Start(kNextPairAfter, [this] { OpenPair(); });
}

void Mover::EndMoving(absl::string_view why) {
  log_->Warning("migration.ended", absl::StrCat("no more connections move to generation ",
                                                successor_, " (", moved_, " have): ", why));
  successor_ = 0;
  sender_timer_.Cancel();
  movable_.clear();
  host_->OnMovingEnded();
}

// ---- Coming

void Mover::Receive(int generation, OwnedFd pair) {
  const auto pairs = absl::c_count_if(
      incoming_, [&](const Incoming& one) { return one.generation == generation; });
  if (pairs >= kPairsMax) {
    return log_->Warning("migration.garbage",
                         absl::StrCat("from generation ", generation, ": more than ", kPairsMax,
                                      " pairs at once; this one is closed"));
  }
  const int id = next_id_++;
  ReceiverCallbacks callbacks;
  callbacks.accept = [this](const BatchItem& item) { return host_->CheckMigrant(item); };
  callbacks.deliver = [this, id](std::vector<Migrant> batch) { Deliver(id, std::move(batch)); };
  callbacks.garbage = [this, generation](const absl::Status& status) {
    log_->Warning("migration.garbage",
                  absl::StrCat("from generation ", generation, ": ", status.message()));
  };
  auto receiver = MigrationReceiver::Create(std::move(pair), std::move(callbacks));
  if (!receiver.ok()) {
    log_->Warning("migration.garbage",
                  absl::StrCat("from generation ", generation, ": ", receiver.status().message()));
    return;
  }
  incoming_.emplace_back();
  Incoming& incoming = incoming_.back();
  incoming.generation = generation;
  incoming.id = id;
  incoming.receiver = *std::move(receiver);
  incoming.timer = std::make_unique<Timer>(loop_);
  if (refusing_) incoming.receiver->Refuse();
  TickReceiver(id);
}

Mover::Incoming* Mover::FindIncoming(int id) {
  for (Incoming& incoming : incoming_) {
    if (incoming.id == id) return &incoming;
  }
  return nullptr;
}

void Mover::TickReceiver(int id) {
  Incoming* incoming = FindIncoming(id);
  if (incoming == nullptr) return;
  MigrationReceiver* const receiver = incoming->receiver.get();
  const Instant now = MonotonicNow();
  const Instant next = receiver->Tick(now);
  const bool wanted = receiver->poll_fd() >= 0 && receiver->wants_read();
  if (!wanted) incoming->watch.reset();
  if (wanted && incoming->watch == nullptr) {
    incoming->watch = std::make_unique<Watch>(loop_, receiver->poll_fd(), Watch::kReadable,
                                              [this, id] { TickReceiver(id); });
  }
  if (!receiver->open() && receiver->undelivered() == 0) {
    log_->Info(
        "migration.received",
        absl::StrCat(receiver->counts().taken, " connections of generation ", incoming->generation,
                     " moved here, ", receiver->counts().refused, " were sent back"));
    incoming_.remove_if([&](const Incoming& one) { return one.id == id; });
    return;
  }
  if (next == absl::InfiniteDuration()) {
    incoming->timer->Cancel();
  } else {
    incoming->timer->Start(next - now, [this, id] { TickReceiver(id); });
  }
}

void Mover::TickReceiverSoon(int id) {
  loop_->Post([this, alive = std::weak_ptr<bool>(alive_), id] {
    if (!alive.expired()) TickReceiver(id);
  });
}

void Mover::Deliver(int id, std::vector<Migrant> batch) {
  for (const Migrant& migrant : batch) {
    log_->Debug("migration.adopted",
                absl::StrCat("a connection of listener \"", migrant.listener, "\" moved here"));
  }
  auto taken = [post = loop_->poster(), alive = std::weak_ptr<bool>(alive_), this, id,
                count = static_cast<int>(batch.size())] {
    post([alive, this, id, count] {
      if (!alive.expired()) Taken(id, count);
    });
  };
  host_->Adopt(std::move(batch), std::move(taken));
}

void Mover::Taken(int id, int count) {
  Incoming* incoming = FindIncoming(id);
  if (incoming == nullptr) return;
  const bool waited = !incoming->receiver->wants_read();
  incoming->receiver->Taken(count);
  if (waited || !incoming->receiver->open()) TickReceiver(id);
}

void Mover::Refuse() {
  refusing_ = true;
  for (Incoming& incoming : incoming_) {
    incoming.receiver->Refuse();
    TickReceiverSoon(incoming.id);
  }
}

void Mover::OnGenerationDead(int generation) {
  if (generation == successor_ && sender_ != nullptr) {
    sender_->PeerDied();
    TickSoon();
  }
  for (Incoming& incoming : incoming_) {
    if (incoming.generation != generation) continue;
    incoming.receiver->PeerDied();
    TickReceiverSoon(incoming.id);
  }
}

}  // namespace zdd
