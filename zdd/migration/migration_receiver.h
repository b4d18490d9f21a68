// MigrationReceiver takes live connections from another process: it looks at each, refuses what
// this version cannot serve, acknowledges the rest, and from then on they are this process's. The
// decisions are ReceiverMachine's.
//
//   auto receiver = MigrationReceiver::Create(std::move(theirs), {accept, deliver, garbage});
//   Watch watch(loop, receiver->poll_fd(), Watch::kReadable, again);      // while wants_read()
//   void Again() { timer.Start(receiver->Tick(MonotonicNow()) - MonotonicNow()); }
//   ...                                                 // when the server has taken one up:
//   receiver->Taken(1);
//
// A batch is owned from the instant in which its acknowledgement was sent; nothing of it is touched
// before. What is refused is closed before that. If the acknowledgement cannot be sent because the
// sender revoked, everything unacknowledged is closed; if the sender is dead and had not revoked,
// everything that it sent is adopted, since nobody else lives who could serve it.
//
// No more is read while more than kUndeliveredMax connections wait to be taken up: a server that
// hangs so stops the acknowledgements, and the sender brings the rest home.
//
// Threads: the loop's.
// Lifetime: the callbacks run inside Tick; they may call Taken, Refuse and PeerDied (Tick inside of
// them does nothing), but not destroy the receiver. Destroying it closes what is not acknowledged,
// and hangs up: the sender then takes it back.
// Errors: whatever comes is survived. Garbage is told once and ends the pair, not the process.
#ifndef ZDD_MIGRATION_MIGRATION_RECEIVER_H_
#define ZDD_MIGRATION_MIGRATION_RECEIVER_H_

#include <cstdint>
#include <deque>
#include <memory>
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
#include "zdd/migration/batch.h"
#include "zdd/migration/migrant.h"
#include "zdd/migration/receiver_machine.h"
#include "zdd/net/fd_channel.h"

namespace zdd {

struct ReceiverCounts {
  int64_t taken = 0;    // this process became their owner
  int64_t refused = 0;  // sent back: by accept, by Refuse, or because they were no connections
  int64_t batches = 0;  // that came whole
  int64_t truncated_batches = 0;  // for which there were no descriptors: they went back
  int64_t revoked_batches = 0;    // closed here before they were acknowledged
  int64_t adopted_from_dead = 0;  // of those taken: the sender died before the acknowledgement
  int64_t garbage = 0;            // frames of the sender that made no sense
};

struct ReceiverCallbacks {
  // Whether this version can serve it: not ok for an unknown listener or format. Only that item is
  // refused. It is not ours yet, and a large state is not there yet.
  absl::AnyInvocable<absl::Status(const BatchItem&)> accept;
  // They are ours now, a batch at a time: serve them. They wait to be taken up until Taken() has
  // been called for as many.
  absl::AnyInvocable<void(std::vector<Migrant>)> deliver;
  // The pair has ended because the sender speaks garbage (DataLoss), or the kernel does not let us
  // answer. At most once.
  absl::AnyInvocable<void(const absl::Status&)> garbage;
};

class MigrationReceiver {
 public:
  // One Tick takes so many batches at the most; the rest come after a turn of the loop.
  static constexpr int kTickBatchesMax = 8;
  // How soon an acknowledgement that did not fit is tried again.
  static constexpr absl::Duration kRetryPeriod = absl::Milliseconds(1);
  // A sender that cannot be answered is dead, or has revoked; so long the proof is waited for.
  static constexpr absl::Duration kUndecidedMax = absl::Seconds(1);
  // Descriptors are counted so often at the most.
  static constexpr absl::Duration kCountPeriod = absl::Milliseconds(10);

  // InvalidArgument if `fd` is no SEQPACKET socket.
  static absl::StatusOr<std::unique_ptr<MigrationReceiver>> Create(
      OwnedFd fd, ReceiverCallbacks callbacks, Syscalls& syscalls = Syscalls::Real());
  ~MigrationReceiver();
  MigrationReceiver(const MigrationReceiver&) = delete;
  MigrationReceiver& operator=(const MigrationReceiver&) = delete;

  // Reads, acknowledges and delivers, and answers when it wants to be called again: `now` means
  // after one turn of the loop, InfiniteDuration() not before the poll_fd is readable or Taken is
  // called.
  Instant Tick(Instant now);

  // The server has taken up so many of those that were delivered. Tick follows, soon.
  void Taken(int count) { machine_.Taken(count); }
  // From now on what is not acknowledged yet goes back: this process drains, stops or leaves. Not
  // what a dead sender left: nobody else could serve it. Tick follows.
  void Refuse() { refuse_ = true; }
  // The sender's process is dead, by its pidfd. Tick follows.
  void PeerDied() { died_ = true; }

  // Readable (level) while Tick has something to read. -1 when the pair has ended.
  int poll_fd() const { return channel_.has_value() ? channel_->fd() : -1; }
  // False: leave the poll_fd alone, Tick would read nothing.
  bool wants_read() const { return machine_.wants_read(); }

  // False: nothing can come any more, and nothing is held back.
  bool open() const { return channel_.has_value() || !held_.empty(); }
  // Connections that are owned and not taken up.
  int undelivered() const { return machine_.undelivered(); }
  // Connections here that were not delivered: whose acknowledgement could not be sent yet, or that
  // were adopted from a dead sender and wait for their turn.
  int held() const;
  const ReceiverCounts& counts() const { return counts_; }

 private:
  struct Batch {
    int no = 0;
    uint64_t taken = 0;             // the bits of the acknowledgement
    std::vector<Migrant> migrants;  // those taken
  };

  MigrationReceiver(FdChannel channel, ReceiverCallbacks callbacks, Syscalls& syscalls);

  void Work(Instant now);
  Instant NextTick(Instant now) const;

  void Read(Instant now);
  bool ReadOne(Instant now);
  void OnFrame(Received received, Instant now);
  void OnBatch(BatchFrame frame, std::vector<OwnedFd> fds, Instant now);
  void Hold(Batch batch, Instant now);
  Batch Decide(BatchFrame frame, std::vector<OwnedFd>* fds);
  absl::Status Examine(BatchItem* item, int fd, int memfd);
  void OnTruncated(Instant now);
  void OnGarbage(const absl::Status& status, Instant now);

  void Tell(ReceiverEvent event, Instant now);
  void CarryOut(const std::vector<ReceiverEffect>& effects, Instant now);
  void CarryOut(ReceiverEffect effect, Instant now);
  void SendAck(Instant now);
  void DeliverFirst();
  void CloseHeld();
  void RefuseHeld();
  int FreeFdsAbout(Instant now);

  ReceiverCallbacks callbacks_;
  Syscalls& syscalls_;
  absl::optional<FdChannel> channel_;
  ReceiverMachine machine_;
  bool ticking_ = false;
  bool died_ = false;  // to be told to the machine by the next Tick, as is:
  bool refuse_ = false;
  bool more_ = false;  // there may be more to read
  Instant ending_until_ = absl::InfiniteDuration();

  std::deque<Batch> held_;  // in order
  int free_fds_ = 0;
  Instant fds_counted_at_ = -absl::InfiniteDuration();
  ReceiverCounts counts_;
};

}  // namespace zdd

#endif  // ZDD_MIGRATION_MIGRATION_RECEIVER_H_
