#include "zdd/migration/migration_sender.h"

#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/migration/sealed_state.h"

namespace zdd {
namespace {

// Of one Tick. More than a receiver that keeps to the protocol can have sent.
constexpr int kTickFramesMax = 4 * kBatchesUnacknowledgedMax;

// The bits of an acknowledgement that stand for no item.
bool TakesTooMany(uint64_t taken, size_t items) { return items < 64 && taken >> items != 0; }

void Wipe(std::string* state) {
  explicit_bzero(&(*state)[0], state->size());
  state->clear();
}

}  // namespace

absl::StatusOr<MigrationSender::Created> MigrationSender::Create(SenderLimits limits,
                                                                 SenderCallbacks callbacks,
                                                                 Syscalls& syscalls) {
  limits.batch_items = std::clamp(limits.batch_items, 1, kBatchItemsMax);
  absl::StatusOr<FdChannel::Ends> ends = FdChannel::Pair(syscalls);
  if (!ends.ok()) return Annotate(ends.status(), "migrate");
  return Created{std::unique_ptr<MigrationSender>(new MigrationSender(
                     limits, std::move(callbacks), std::move(ends->ours), syscalls)),
                 std::move(ends->theirs).Release()};
}

MigrationSender::MigrationSender(SenderLimits limits, SenderCallbacks callbacks, FdChannel channel,
                                 Syscalls& syscalls)
    : limits_(limits),
      callbacks_(std::move(callbacks)),
      syscalls_(syscalls),
      channel_(std::move(channel)),
      peer_free_fds_(limits.peer_free_fds) {}

MigrationSender::~MigrationSender() = default;

void MigrationSender::Add(Migrant migrant, Instant now) {
  BatchItem item = MakeBatchItem(migrant.listener, migrant.format, migrant.age, migrant.state);
  absl::Status fits = migrant.fd.valid() ? CheckBatchItem(item)
                                         : absl::InvalidArgumentError("migrate: no descriptor");
  if (!fits.ok()) return BringHome(std::move(migrant), fits.message());
  const size_t bytes = BytesOf(item);
  queue_.push_back({std::move(migrant), std::move(item), bytes, OwnedFd()});
  if (queue_.size() >= static_cast<size_t>(limits_.batch_items)) SendBatches(true, now);
}

void MigrationSender::Revoke(absl::string_view reason) {
  if (asked_.ok()) asked_ = absl::CancelledError(reason);
}

void MigrationSender::PeerDied() { peer_died_ = true; }

int MigrationSender::pending() const {
  return static_cast<int>(queue_.size() + home_.size()) + unacknowledged_items_;
}

Instant MigrationSender::Tick(Instant now) {
  if (ticking_) return now;
  ticking_ = true;
  Work(now);
  ticking_ = false;
  return NextTick(now);
}

void MigrationSender::Work(Instant now) {
  refused_by_kernel_ = false;
  Read();
  if (!asked_.ok()) Break(asked_, SenderEvent::kRevokeAsked);
  if (machine_.revoking()) SendRevoked();
  if (reading_ == Reading::kAll && peer_died_)
    Break(absl::UnavailableError("the receiver is dead"), SenderEvent::kPeerDead);
  if (reading_ == Reading::kAll && machine_.open() && answers_.Overdue(now))
    Break(Overdue(), SenderEvent::kOverdue);
  SendBatches(/*whole_only=*/false, now);
  if (machine_.state() == SenderState::kEnding) Read();
  if (!machine_.open()) ReturnQueued();
  DeliverHome();
}

Instant MigrationSender::NextTick(Instant now) const {
  if (!home_.empty() || (!open() && !queue_.empty()) || reading_ == Reading::kMore) return now;
  const bool retry = reading_ == Reading::kFailed || refused_by_kernel_ ||
                     machine_.state() == SenderState::kRevoking;
  return retry ? std::min(now + kRetryPeriod, answers_.next()) : answers_.next();
}

// ---- Reading.

void MigrationSender::Read() {
  reading_ = Reading::kAll;
  for (int i = 0; i < kTickFramesMax && channel_.has_value(); ++i) {
    const Received received = channel_->Receive();
    switch (received.kind) {
      case Received::kFrame:
        OnFrame(received);
        continue;
      case Received::kWouldBlock:
        return;
      case Received::kEndOfFile:
        return Break(absl::UnavailableError("the receiver hung up"), SenderEvent::kEndOfFile);
      case Received::kBroken:
        OnGarbage(received.status);
        if (absl::IsDataLoss(received.status) || absl::IsResourceExhausted(received.status))
          continue;
        reading_ = Reading::kFailed;
        return;
    }
  }
  if (channel_.has_value()) reading_ = Reading::kMore;
}

void MigrationSender::OnFrame(const Received& received) {
  absl::StatusOr<MigrationFrame> frame =
      DecodeMigration(received.bytes, static_cast<int>(received.fds.size()));
  if (!frame.ok()) return OnGarbage(frame.status());
  if (const auto* ack = std::get_if<AckFrame>(&*frame)) return OnAck(*ack);
  OnGarbage(absl::DataLossError("got no acknowledgement, want one"));
}

void MigrationSender::OnAck(const AckFrame& ack) {
  const int oldest = machine_.next_no() - machine_.unacknowledged();
  if (unacknowledged_.empty() || ack.no != oldest ||
      TakesTooMany(ack.taken, unacknowledged_.front().migrants.size())) {
    return OnGarbage(absl::DataLossError(
        absl::StrCat("got an acknowledgement of batch ", ack.no, " taking ", absl::Hex(ack.taken),
                     ", want one of batch ", oldest, " of ", machine_.unacknowledged())));
  }
  for (SenderEffect effect : machine_.OnAck(ack.no))
    if (effect == SenderEffect::kComplete) Complete(ack);
}

void MigrationSender::OnGarbage(const absl::Status& status) {
  ++counts_.garbage;
  Break(Annotate(status, "the receiver speaks garbage"), SenderEvent::kGarbage);
}

void MigrationSender::Complete(const AckFrame& ack) {
  Batch batch = std::move(unacknowledged_.front());
  unacknowledged_.pop_front();
  Forget(batch);
  answers_.Acknowledged();
  peer_free_fds_ = ack.free_fds;
  for (size_t i = 0; i < batch.migrants.size(); ++i) {
    Migrant& migrant = batch.migrants[i];
    if ((ack.taken >> i & 1) == 0) {
      ++counts_.refused;
      BringHome(std::move(migrant), "the receiver refused it");
      continue;
    }
    ++counts_.moved;
    Wipe(&migrant.state);
    callbacks_.moved(std::move(migrant));
  }
}

void MigrationSender::Forget(const Batch& batch) {
  unacknowledged_items_ -= static_cast<int>(batch.migrants.size());
  unacknowledged_bytes_ -= batch.bytes;
  unacknowledged_fds_ -= batch.fds;
}

// ---- The end of the pair.

absl::Status MigrationSender::Overdue() const {
  return absl::DeadlineExceededError(absl::StrCat(
      "the receiver does not answer: batch ", machine_.next_no() - machine_.unacknowledged(),
      " waited ", absl::FormatDuration(AnswerClock::kAnswerTime)));
}

void MigrationSender::Break(const absl::Status& why, SenderEvent event) {
  if (broken_.ok()) broken_ = why;
  Tell(event);
}

void MigrationSender::Tell(SenderEvent event) {
  for (SenderEffect effect : machine_.OnEvent(event)) CarryOut(effect);
}

void MigrationSender::CarryOut(SenderEffect effect) {
  switch (effect) {
    case SenderEffect::kComplete:  // OnAck's
      return;
    case SenderEffect::kSendRevoked:
      return SendRevoked();
    case SenderEffect::kShutRead:
      shutdown(channel_->fd(), SHUT_RD);  // of a connected pair: cannot fail
      return;
    case SenderEffect::kTakeBack:
      return TakeBack();
  }
}

void MigrationSender::SendRevoked() {
  switch (channel_->Send(Encode(RevokedFrame{})).kind) {
    case SendResult::kSent:
      return Tell(SenderEvent::kRevokedSent);
    case SendResult::kPeerGone:
      return Tell(SenderEvent::kPeerGone);
    case SendResult::kWouldBlock:
    case SendResult::kFailed:
      return;  // the next Tick tries again
  }
}

void MigrationSender::TakeBack() {
  channel_.reset();
  answers_.Clear();
  std::deque<Batch> batches;
  batches.swap(unacknowledged_);
  counts_.revoked_batches += static_cast<int64_t>(batches.size());
  for (Batch& batch : batches) {
    Forget(batch);
    for (Migrant& migrant : batch.migrants) BringHome(std::move(migrant), broken_.message());
  }
}

// ---- Sending.

void MigrationSender::SendBatches(bool whole_only, Instant now) {
  const size_t least = whole_only ? static_cast<size_t>(limits_.batch_items) : 1;
  while (open() && machine_.may_send() && !refused_by_kernel_ && queue_.size() >= least) {
    const int count = NextBatch();
    if (count == 0 || !SendBatch(count, now)) return;
  }
}

// How many of the queue go next. With nothing on its way one always may: a receiver without room
// refuses it, and says how much it has by then.
int MigrationSender::NextBatch() const {
  const bool idle = unacknowledged_.empty();
  size_t bytes = kBatchOverheadBytes;
  int fds = 0;
  int count = 0;
  for (const Queued& queued : queue_) {
    bytes += queued.bytes;
    fds += FdsOf(queued.item);
    const bool fits = count < limits_.batch_items && bytes <= kFrameBytesMax &&
                      fds <= static_cast<int>(kFrameFdsMax) &&
                      unacknowledged_bytes_ + bytes <= kBytesUnacknowledgedMax &&
                      unacknowledged_fds_ + fds <= peer_free_fds_ - kFdReserve;
    if (!fits && !(idle && count == 0)) break;
    ++count;
  }
  return count;
}

// Makes what is missing. How many of the first `count` have what they need.
int MigrationSender::MakeMemfds(int count) {
  for (int i = 0; i < count; ++i) {
    Queued& queued = queue_[i];
    if (!queued.item.in_memfd || queued.memfd.valid()) continue;
    absl::StatusOr<OwnedFd> memfd = SealState(queued.migrant.state, syscalls_);
    if (memfd.ok()) {
      queued.memfd = *std::move(memfd);
      continue;
    }
    BringHome(std::move(queued.migrant), memfd.status().message());
    queue_.erase(queue_.begin() + i);
    return i;
  }
  return count;
}

// False: nothing more can be sent now.
bool MigrationSender::SendBatch(int count, Instant now) {
  count = MakeMemfds(count);
  if (count == 0) return true;
  BatchFrame frame;
  frame.no = machine_.next_no();
  std::vector<int> fds;
  for (int i = 0; i < count; ++i) {
    frame.items.push_back(queue_[i].item);
    fds.push_back(queue_[i].migrant.fd.get());
  }
  for (int i = 0; i < count; ++i)
    if (queue_[i].memfd.valid()) fds.push_back(queue_[i].memfd.get());
  const std::string bytes = Encode(frame);
  const SendResult sent = channel_->Send(bytes, fds);
  switch (sent.kind) {
    case SendResult::kSent:
      OnSent(count, bytes.size(), static_cast<int>(fds.size()), now);
      return true;
    case SendResult::kWouldBlock:
      refused_by_kernel_ = true;
      return false;
    case SendResult::kPeerGone:
      Break(absl::UnavailableError("the receiver is gone"), SenderEvent::kPeerGone);
      return false;
    case SendResult::kFailed:
      for (int i = 0; i < count; ++i) BringFirstHome(sent.status.message());
      return true;
  }
  return false;
}

void MigrationSender::OnSent(int count, size_t bytes, int fds, Instant now) {
  Batch batch;
  batch.bytes = bytes;
  batch.fds = fds;
  for (int i = 0; i < count; ++i) {
    batch.migrants.push_back(std::move(queue_.front().migrant));
    queue_.pop_front();
  }
  unacknowledged_items_ += count;
  unacknowledged_bytes_ += bytes;
  unacknowledged_fds_ += fds;
  unacknowledged_.push_back(std::move(batch));
  machine_.Sent();
  answers_.Sent(now);
  ++counts_.batches;
}

// ---- Coming home.

void MigrationSender::BringHome(Migrant migrant, absl::string_view why) {
  home_.push_back({std::move(migrant), std::string(why)});
}

void MigrationSender::BringFirstHome(absl::string_view why) {
  BringHome(std::move(queue_.front().migrant), why);
  queue_.pop_front();
}

void MigrationSender::ReturnQueued() {
  while (!queue_.empty()) BringFirstHome(broken_.message());
}

void MigrationSender::DeliverHome() {
  std::deque<Home> home;  // what comes home meanwhile waits for the next Tick
  home.swap(home_);
  for (Home& one : home) {
    ++counts_.returned;
    callbacks_.returned(std::move(one.migrant), one.why);
  }
}

}  // namespace zdd
