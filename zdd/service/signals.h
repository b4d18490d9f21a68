// SignalTaker turns signals into something to poll. While it lives, its signals no longer do what
// they did before; they are counted, and read.
//
//   auto signals = zdd::SignalTaker::Take({SIGUSR2, SIGTERM});
//   if (!signals.ok()) return signals.status();
//   ... on the loop's thread: (*signals)->UnblockHere(); ...
//   ... when poll((*signals)->fd()) says readable:
//   for (int signal : (*signals)->Read()) Obey(signal);
//
// A signal for the process goes to any thread that does not block it, and waits for ever if all do.
// So Take() unblocks its signals in the thread that calls it (a spawned process starts with its
// upgrade signal blocked), and zdd's loop does so in its own; what other threads do is their
// business.
//
// Several takers of one process may name the same signal: each is told. The actions of before the
// first taker are put back when the last one goes, unless somebody has installed another by then.
// A forked child that did not exec shares fd(), and wakes it, but only the process that was
// signalled reads anything.
//
// Threads: any; Read() from one at a time. Lifetime: no handler touches anything of a taker after
// its destructor. Errors: InvalidArgument (a signal that cannot be taken: name and reason),
// ResourceExhausted (fds; more than kSignalTakersMax).
#ifndef ZDD_SERVICE_SIGNALS_H_
#define ZDD_SERVICE_SIGNALS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"

namespace zdd {

inline constexpr int kSignalTakersMax = 16;  // services of one process

// "signal 12 (SIGUSR2)".
std::string SignalText(int signal);

// Ok if `signal` may be given to Take(). Not those that a fault of the program raises (SIGSEGV,
// SIGPIPE ...), those that nobody can catch, SIGCHLD (it belongs to the embedder), the C library's.
absl::Status CheckSignal(int signal);

class SignalTaker {
 public:
  // An empty list is fine: it then never tells anything. A signal named twice is InvalidArgument.
  static absl::StatusOr<std::unique_ptr<SignalTaker>> Take(const std::vector<int>& signals,
                                                           Syscalls& syscalls = Syscalls::Real());
  ~SignalTaker();
  SignalTaker(const SignalTaker&) = delete;
  SignalTaker& operator=(const SignalTaker&) = delete;

  // Lets the calling thread receive these signals.
  void UnblockHere() const;

  // Readable (level-triggered) while Read() would give something, and now and then in vain.
  int fd() const { return wake_.get(); }

  // What came since the last call, in the order of Take()'s list, each signal as often as it was
  // delivered, but at most kRepeatsMax times. (Two of a kind that come at once are one: signal(7).)
  std::vector<int> Read();
  static constexpr int kRepeatsMax = 3;  // the third stop signal is the last that means anything

 private:
  struct Taken {
    int signal;
    uint32_t seen;  // arrivals of it that were read, or came before this taker
  };

  absl::Status Init(const std::vector<int>& signals);

  SignalTaker(OwnedFd wake, int slot) : wake_(std::move(wake)), slot_(slot) {}

  OwnedFd wake_;
  const int slot_;
  std::vector<Taken> taken_;
};

// Drops a pending `signal` and unblocks it in the calling thread: for one that Spawn() had blocked
// and this version does not take. Pending, it would kill this process the moment it is unblocked.
void UnblockUntaken(int signal);

}  // namespace zdd

#endif  // ZDD_SERVICE_SIGNALS_H_
