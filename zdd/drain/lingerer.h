// Lingerer closes many connections gently, from a loop and without blocking (close_gently.h says
// why one closes so).
//
//   Lingerer lingerer;
//   lingerer.Add(std::move(fd), std::move(ticket), MonotonicNow());
//   Watch watch(loop, lingerer.poll_fd(), Watch::kReadable, again);    // once the first was added
//   void Again() { timer.Start(lingerer.Tick(MonotonicNow()) - MonotonicNow()); }
//
// Threads: the loop's.
// Lifetime: takes fds and tickets; each ticket, busy meanwhile, ends just before its fd is closed.
// Destroying it closes all at once.
// Errors: none; each connection is closed in the end. Beyond kConnectionsMax the oldest is closed
// early, and without an epoll descriptor they are all looked at every 20 ms.
#ifndef ZDD_DRAIN_LINGERER_H_
#define ZDD_DRAIN_LINGERER_H_

#include <cstdint>
#include <map>
#include <utility>

#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"
#include "zdd/drain/linger_result.h"
#include "zdd/drain/ticket.h"

namespace zdd {

class Lingerer {
 public:
  static constexpr int kConnectionsMax = 10000;
  // One Tick reads from so many at the most; the rest come after a turn of the loop.
  static constexpr int kTickConnectionsMax = 64;

  explicit Lingerer(LingerLimits limits = LingerLimits());
  ~Lingerer();
  Lingerer(const Lingerer&) = delete;
  Lingerer& operator=(const Lingerer&) = delete;

  // Ends our direction now, and closes later.
  void Add(OwnedFd fd, Ticket ticket, Instant now);

  // Reads and discards what came, closes what is done or overdue, and answers when it wants to be
  // called again: `now` means after one turn of the loop, InfiniteDuration() not before the poll_fd
  // is readable or one is added.
  Instant Tick(Instant now);

  // Readable (level) while Tick has something to read. -1 if the process has no descriptors left.
  int poll_fd() const { return epoll_.get(); }

  int count() const { return static_cast<int>(lingering_.size()); }
  // Connections that sent something which nobody will answer.
  int64_t lost_race() const { return lost_race_; }

 private:
  struct Lingering {
    Lingering(OwnedFd fd, Ticket ticket, Instant until)
        : fd(std::move(fd)), ticket(std::move(ticket)), until(until) {}
    OwnedFd fd;
    Ticket ticket;  // behind the fd, so that it dies first
    Instant until;
    int64_t discarded = 0;
  };
  using ByNumber = std::map<uint64_t, Lingering>;

  // True if it wants more.
  bool Read(Lingering* lingering);
  ByNumber::iterator Close(ByNumber::iterator lingering);
  bool ReadReady();
  void ReadAll();

  const LingerLimits limits_;
  OwnedFd epoll_;
  uint64_t next_number_ = 0;
  ByNumber lingering_;  // the limit is one for all, so that they are in the order of their ends
  int64_t lost_race_ = 0;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_LINGERER_H_
