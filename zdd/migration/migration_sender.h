// MigrationSender moves live connections to another process, in batches over a socket pair of its
// own, and brings home each one that did not arrive. The decisions are SenderMachine's.
//
//   auto created = MigrationSender::Create(limits, {moved, returned});
//   SendToPeer(std::move(created->theirs));             // for its MigrationReceiver
//   created->sender->Add(std::move(migrant), MonotonicNow());
//   Watch watch(loop, sender->poll_fd(), Watch::kReadable, again);
//   void Again() { timer.Start(sender->Tick(MonotonicNow()) - MonotonicNow()); }
//
// A connection is the receiver's from the instant in which that sent its acknowledgement; here it
// is known when that is read. Until then fd, state and ticket stay here, untouched. A batch that is
// not acknowledged in time is revoked: shutdown(SHUT_RD) makes later acknowledgements fail at their
// sender, those that were sent are read to the end, and what remains is ours again. Each pair is
// revoked once and then is of no use any more: open() is false, and a new sender makes the next.
//
// Threads: the loop's.
// Lifetime: the callbacks run inside Tick; they may Add, Revoke and PeerDied (Tick inside of them
// does nothing), but not destroy the sender. Destroying it is like dying: what is on its way may
// still be taken by the receiver, and the copies here are closed. Revoke, and Tick until pending()
// is 0, to have them back.
// Errors: none for one connection but that it comes back, with the reason. broken() says why the
// pair ended.
#ifndef ZDD_MIGRATION_MIGRATION_SENDER_H_
#define ZDD_MIGRATION_MIGRATION_SENDER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"
#include "zdd/base/time.h"
#include "zdd/migration/answer_clock.h"
#include "zdd/migration/batch.h"
#include "zdd/migration/migrant.h"
#include "zdd/migration/sender_machine.h"
#include "zdd/net/fd_channel.h"

namespace zdd {

struct SenderLimits {
  int batch_items = kBatchItemsDefault;  // 1 to kBatchItemsMax
  // How many descriptors the receiver could take when it last said so; each acknowledgement says it
  // anew.
  int peer_free_fds = 1024;
};

struct SenderCounts {
  int64_t moved = 0;
  int64_t refused = 0;   // came back because the receiver did not want them
  int64_t returned = 0;  // came back for any reason, the refused among them
  int64_t batches = 0;   // sent
  int64_t revoked_batches = 0;
  int64_t garbage = 0;  // frames of the peer that made no sense
};

struct SenderCallbacks {
  // The receiver has it. The state is wiped; all that is left to do is to let it go: the ticket
  // ends and this copy is closed, but never shut down.
  absl::AnyInvocable<void(Migrant)> moved;
  // It is ours, as it was given: here it goes on. Once for each that did not move.
  absl::AnyInvocable<void(Migrant, absl::string_view why)> returned;
};

class MigrationSender {
 public:
  // What the receiver must keep free for itself.
  static constexpr int kFdReserve = 64;
  // On their way at most. Far below the default SO_SNDBUF of 208 KiB, so that the revocation always
  // fits in.
  static constexpr size_t kBytesUnacknowledgedMax = size_t{96} * 1024;
  // How soon is tried again what the kernel refused.
  static constexpr absl::Duration kRetryPeriod = absl::Milliseconds(1);

  struct Created;  // {sender, theirs}

  // ResourceExhausted: no descriptors.
  static absl::StatusOr<Created> Create(SenderLimits limits, SenderCallbacks callbacks,
                                        Syscalls& syscalls = Syscalls::Real());
  ~MigrationSender();
  MigrationSender(const MigrationSender&) = delete;
  MigrationSender& operator=(const MigrationSender&) = delete;

  // Takes it. Sent now if that fills a batch, else by the next Tick, which should come in this turn
  // of the loop. One that cannot be sent (the pair is not open, the state is too large) comes back
  // from the next Tick.
  void Add(Migrant migrant, Instant now);

  // Reads what came, sends what may be sent, brings home what is to come home, and answers when it
  // wants to be called again: `now` means after one turn of the loop, InfiniteDuration() not before
  // the poll_fd is readable or one is added.
  Instant Tick(Instant now);

  // Takes back what is not acknowledged, and ends the pair. Tick follows.
  void Revoke(absl::string_view reason);
  // The receiver's process is dead, by its pidfd. Tick follows.
  void PeerDied();

  // Readable (level) while Tick has something to read. -1 when the pair has ended.
  int poll_fd() const { return channel_.has_value() ? channel_->fd() : -1; }

  bool open() const { return machine_.open() && asked_.ok() && !peer_died_; }
  // Why the pair is no longer open: DataLoss if the receiver spoke garbage, DeadlineExceeded if it
  // did not answer in time, Unavailable if it died or hung up, Cancelled by Revoke. Ok until then.
  const absl::Status& broken() const { return broken_; }

  // Connections here: queued, unacknowledged, or about to come back.
  int pending() const;
  int unacknowledged() const { return unacknowledged_items_; }
  const SenderCounts& counts() const { return counts_; }

 private:
  struct Queued {
    Migrant migrant;
    BatchItem item;
    size_t bytes = 0;  // of a datagram
    OwnedFd memfd;     // once it was made, if the state goes in one
  };
  struct Batch {
    std::vector<Migrant> migrants;
    size_t bytes = 0;
    int fds = 0;
  };
  struct Home {
    Migrant migrant;
    std::string why;
  };
  enum class Reading {
    kAll,     // everything that is there was read
    kMore,    // there may be more
    kFailed,  // the kernel refuses
  };

  MigrationSender(SenderLimits limits, SenderCallbacks callbacks, FdChannel channel,
                  Syscalls& syscalls);

  void Work(Instant now);
  Instant NextTick(Instant now) const;

  void Read();
  void OnFrame(const Received& received);
  void OnAck(const AckFrame& ack);
  void OnGarbage(const absl::Status& status);
  void Complete(const AckFrame& ack);
  void Forget(const Batch& batch);

  absl::Status Overdue() const;
  void Break(const absl::Status& why, SenderEvent event);
  void Tell(SenderEvent event);
  void CarryOut(SenderEffect effect);
  void SendRevoked();
  void TakeBack();

  void SendBatches(bool whole_only, Instant now);
  int NextBatch() const;
  int MakeMemfds(int count);
  bool SendBatch(int count, Instant now);
  void OnSent(int count, size_t bytes, int fds, Instant now);

  void BringHome(Migrant migrant, absl::string_view why);
  void BringFirstHome(absl::string_view why);
  void ReturnQueued();
  void DeliverHome();

  const SenderLimits limits_;
  SenderCallbacks callbacks_;
  Syscalls& syscalls_;
  absl::optional<FdChannel> channel_;
  SenderMachine machine_;
  AnswerClock answers_;
  bool ticking_ = false;
  absl::Status asked_;  // to end; told to the machine by the next Tick
  bool peer_died_ = false;
  Reading reading_ = Reading::kAll;
  bool refused_by_kernel_ = false;  // the last batch: tried again by the next Tick
  int peer_free_fds_;

  std::deque<Queued> queue_;
  std::deque<Batch> unacknowledged_;
  int unacknowledged_items_ = 0;  // the sums of those
  size_t unacknowledged_bytes_ = 0;
  int unacknowledged_fds_ = 0;
  std::deque<Home> home_;

  absl::Status broken_;
  SenderCounts counts_;
};

struct MigrationSender::Created {
  std::unique_ptr<MigrationSender> sender;
  OwnedFd theirs;
};

}  // namespace zdd

#endif  // ZDD_MIGRATION_MIGRATION_SENDER_H_
