// Descriptors passed from one process to another and nothing else: 16 in a message, 8 messages on
// their way, each answered. What moving connections is compared with.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "benchmarks/drain/drain.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/status.h"
#include "zdd/base/time.h"
#include "zdd/net/fd_channel.h"

namespace zdd {
namespace {

constexpr int kBatch = 16;
constexpr int kWindow = 8;

Received Next(FdChannel* channel) {
  for (;;) {
    Received received = channel->Receive();
    if (received.kind != Received::kWouldBlock) return received;
    AwaitReadable(channel->fd());
  }
}

[[noreturn]] void Receive(FdChannel* channel) {
  std::vector<OwnedFd> mine;
  for (;;) {
    Received received = Next(channel);
    if (received.kind != Received::kFrame) _exit(0);
    (void)channel->Send("ack");
    for (OwnedFd& fd : received.fds) mine.push_back(std::move(fd));
  }
}

}  // namespace

absl::StatusOr<absl::Duration> PassBare(int count) {
  absl::StatusOr<FdChannel::Ends> ends = FdChannel::Pair();
  if (!ends.ok()) return ends.status();
  const pid_t receiver = fork();
  if (receiver < 0) return ErrnoStatus(errno, "fork");
  if (receiver == 0) {
    close(ends->ours.fd());
    Receive(&ends->theirs);
  }
  std::vector<OwnedFd> fds;
  for (int i = 0; i < count; ++i) fds.push_back(Duplicate(ends->ours.fd()));
  absl::Status status;
  const Instant begin = MonotonicNow();
  int unanswered = 0;
  for (int next = 0; (next < count || unanswered > 0) && status.ok();) {
    while (next < count && unanswered < kWindow) {
      int batch[kBatch];
      for (int i = 0; i < kBatch; ++i) batch[i] = fds[static_cast<size_t>(next + i)].get();
      const SendResult sent = ends->ours.Send("batch", batch);
      if (sent.kind != SendResult::kSent) break;
      next += kBatch;
      ++unanswered;
    }
    const Received answer = Next(&ends->ours);
    if (answer.kind != Received::kFrame) status = absl::InternalError("bare: no answer");
    --unanswered;
    const size_t done = static_cast<size_t>(next - unanswered * kBatch);
    for (size_t i = done - kBatch; i < done; ++i) fds[i].Reset();
  }
  const absl::Duration took = MonotonicNow() - begin;
  kill(receiver, SIGKILL);
  waitpid(receiver, nullptr, 0);
  if (!status.ok()) return status;
  return took;
}

}  // namespace zdd
