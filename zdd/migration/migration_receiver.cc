#include "zdd/migration/migration_receiver.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "zdd/base/free_fds.h"
#include "zdd/base/status.h"
#include "zdd/migration/sealed_state.h"
#include "zdd/migration/stream_socket.h"

namespace zdd {

absl::StatusOr<std::unique_ptr<MigrationReceiver>> MigrationReceiver::Create(
    OwnedFd fd, ReceiverCallbacks callbacks, Syscalls& syscalls) {
  absl::StatusOr<FdChannel> channel = FdChannel::Adopt(std::move(fd), syscalls);
  if (!channel.ok()) return Annotate(channel.status(), "migrate");
  return std::unique_ptr<MigrationReceiver>(
      new MigrationReceiver(*std::move(channel), std::move(callbacks), syscalls));
}

MigrationReceiver::MigrationReceiver(FdChannel channel, ReceiverCallbacks callbacks,
                                     Syscalls& syscalls)
    : callbacks_(std::move(callbacks)), syscalls_(syscalls), channel_(std::move(channel)) {}

MigrationReceiver::~MigrationReceiver() = default;

int MigrationReceiver::held() const {
  size_t count = 0;
  for (const Batch& batch : held_) count += batch.migrants.size();
  return static_cast<int>(count);
}

Instant MigrationReceiver::Tick(Instant now) {
  if (ticking_) return now;
  ticking_ = true;
  Work(now);
  ticking_ = false;
  return NextTick(now);
}

void MigrationReceiver::Work(Instant now) {
  if (std::exchange(died_, false)) Tell(ReceiverEvent::kPeerDead, now);
  if (std::exchange(refuse_, false)) Tell(ReceiverEvent::kRefuse, now);
  if (machine_.acking()) SendAck(now);
  Tell(ReceiverEvent::kTurn, now);
  Read(now);
  if (now >= ending_until_) Tell(ReceiverEvent::kWaited, now);
}

Instant MigrationReceiver::NextTick(Instant now) const {
  if (died_ || refuse_ || more_) return now;
  if (machine_.acking()) return now + kRetryPeriod;
  return machine_.ending() ? ending_until_ : absl::InfiniteDuration();
}

// ---- Reading.

void MigrationReceiver::Read(Instant now) {
  more_ = false;
  for (int i = 0; machine_.wants_read(); ++i) {
    if (i == kTickBatchesMax) {
      more_ = true;
      return;
    }
    if (!ReadOne(now)) return;
  }
}

// False: nothing more is there.
bool MigrationReceiver::ReadOne(Instant now) {
  Received received = channel_->Receive();
  switch (received.kind) {
    case Received::kFrame:
      OnFrame(std::move(received), now);
      return true;
    case Received::kWouldBlock:
      Tell(ReceiverEvent::kNothingMore, now);
      return false;
    case Received::kEndOfFile:
      Tell(ReceiverEvent::kEndOfFile, now);
      return false;
    case Received::kBroken:
      if (absl::IsResourceExhausted(received.status)) {
        OnTruncated(now);
      } else {
        OnGarbage(received.status, now);
      }
      return true;
  }
  return false;
}

void MigrationReceiver::OnFrame(Received received, Instant now) {
  absl::StatusOr<MigrationFrame> frame =
      DecodeMigration(received.bytes, static_cast<int>(received.fds.size()));
  if (!frame.ok()) return OnGarbage(frame.status(), now);
  if (auto* batch = std::get_if<BatchFrame>(&*frame))
    return OnBatch(std::move(*batch), std::move(received.fds), now);
  if (std::holds_alternative<RevokedFrame>(*frame)) return Tell(ReceiverEvent::kRevoked, now);
  OnGarbage(absl::DataLossError("got an acknowledgement, want a batch"), now);
}

void MigrationReceiver::OnGarbage(const absl::Status& status, Instant now) {
  ++counts_.garbage;
  Tell(ReceiverEvent::kGarbage, now);
  callbacks_.garbage(Annotate(status, "the sender speaks garbage"));
}

void MigrationReceiver::OnBatch(BatchFrame frame, std::vector<OwnedFd> fds, Instant now) {
  if (!machine_.Expects(frame.no)) {
    return OnGarbage(
        absl::DataLossError(absl::StrCat("got batch ", frame.no, ", want ", machine_.next_no(),
                                         " while ", NameOf(machine_.state()))),
        now);
  }
  ++counts_.batches;
  free_fds_ -= static_cast<int>(fds.size());
  Batch batch = Decide(std::move(frame), &fds);
  // What is refused is closed before that is said: its sender may serve it as soon as it hears.
  fds.clear();
  Hold(std::move(batch), now);
}

void MigrationReceiver::Hold(Batch batch, Instant now) {
  const int no = batch.no;
  const int taken = static_cast<int>(batch.migrants.size());
  held_.push_back(std::move(batch));
  CarryOut(machine_.OnBatch(no, taken), now);
}

// The descriptors of a frame are lost where this process has no room for them. Only batches carry
// some, and they come in order, so that it is known which one goes back.
void MigrationReceiver::OnTruncated(Instant now) {
  if (!machine_.Expects(machine_.next_no()))
    return OnGarbage(absl::ResourceExhaustedError("too many batches without room"), now);
  ++counts_.truncated_batches;
  fds_counted_at_ = -absl::InfiniteDuration();
  Batch none;
  none.no = machine_.next_no();
  Hold(std::move(none), now);
}

// Takes out of `fds` what is kept.
MigrationReceiver::Batch MigrationReceiver::Decide(BatchFrame frame, std::vector<OwnedFd>* fds) {
  Batch batch;
  batch.no = frame.no;
  size_t next_memfd = frame.items.size();
  for (size_t i = 0; i < frame.items.size(); ++i) {
    BatchItem& item = frame.items[i];
    const int memfd = item.in_memfd ? (*fds)[next_memfd++].get() : -1;
    if (!Examine(&item, (*fds)[i].get(), memfd).ok()) {
      ++counts_.refused;
      continue;
    }
    batch.taken |= uint64_t{1} << i;
    Migrant migrant;
    migrant.fd = std::move((*fds)[i]);
    migrant.listener = std::move(item.listener);
    migrant.format = std::move(item.format);
    migrant.state = std::move(item.state);
    migrant.age = item.age;
    batch.migrants.push_back(std::move(migrant));
  }
  return batch;
}

absl::Status MigrationReceiver::Examine(BatchItem* item, int fd, int memfd) {
  if (machine_.refuses()) return absl::UnavailableError("nothing is taken any more");
  absl::Status status = CheckStreamSocket(fd, syscalls_);
  if (status.ok()) status = callbacks_.accept(*item);
  if (!status.ok() || memfd < 0) return status;
  absl::StatusOr<std::string> state = ReadSealedState(memfd, item->state_bytes);
  if (state.ok()) item->state = *std::move(state);
  return state.status();
}

// ---- What the machine decides.

void MigrationReceiver::Tell(ReceiverEvent event, Instant now) {
  CarryOut(machine_.OnEvent(event), now);
}

void MigrationReceiver::CarryOut(const std::vector<ReceiverEffect>& effects, Instant now) {
  if (!machine_.ending()) {
    ending_until_ = absl::InfiniteDuration();
  } else if (ending_until_ == absl::InfiniteDuration()) {
    ending_until_ = now + kUndecidedMax;
  }
  for (ReceiverEffect effect : effects) CarryOut(effect, now);
}

void MigrationReceiver::CarryOut(ReceiverEffect effect, Instant now) {
  switch (effect) {
    case ReceiverEffect::kSendAck:
      return SendAck(now);
    case ReceiverEffect::kDeliver:
      return DeliverFirst();
    case ReceiverEffect::kAdoptHeld:
      counts_.adopted_from_dead += held();
      return;
    case ReceiverEffect::kRefuseHeld:
      return RefuseHeld();
    case ReceiverEffect::kCloseHeld:
      return CloseHeld();
    case ReceiverEffect::kClose:
      channel_.reset();
      return;
  }
}

void MigrationReceiver::SendAck(Instant now) {
  AckFrame ack;
  ack.no = held_.front().no;
  ack.taken = held_.front().taken;
  ack.free_fds = FreeFdsAbout(now);
  const SendResult sent = channel_->Send(Encode(ack));
  switch (sent.kind) {
    case SendResult::kSent:
      return Tell(ReceiverEvent::kAckSent, now);
    case SendResult::kWouldBlock:
      return Tell(ReceiverEvent::kAckBlocked, now);
    case SendResult::kPeerGone:
      return Tell(ReceiverEvent::kAckFailed, now);
    case SendResult::kFailed:
      return OnGarbage(sent.status, now);
  }
}

void MigrationReceiver::DeliverFirst() {
  Batch batch = std::move(held_.front());
  held_.pop_front();
  counts_.taken += static_cast<int64_t>(batch.migrants.size());
  if (!batch.migrants.empty()) callbacks_.deliver(std::move(batch.migrants));
}

void MigrationReceiver::CloseHeld() {
  counts_.revoked_batches += static_cast<int64_t>(held_.size());
  held_.clear();
}

void MigrationReceiver::RefuseHeld() {
  Batch& batch = held_.front();
  counts_.refused += static_cast<int64_t>(batch.migrants.size());
  batch.migrants.clear();
  batch.taken = 0;
}

// Counting costs time where there are many; in between it is known what came, and what was closed
// makes it more.
int MigrationReceiver::FreeFdsAbout(Instant now) {
  if (now - fds_counted_at_ >= kCountPeriod) {
    free_fds_ = FreeFds();
    fds_counted_at_ = now;
  }
  return std::max(0, free_fds_);
}

}  // namespace zdd
