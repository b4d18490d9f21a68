// Reactor is one thread's epoll, and one timer for each of its handlers.
//
//   reactor->Watch(fd, this);                // OnReady(events) at each edge, until fd is closed
//   reactor->SetTimer(this, now + timeout);  // OnTimer() once; replaces the one before
//   while (...) reactor->Poll();
//
// Threads: one; Wake() from any. Lifetime: a handler is destroyed only outside Poll, after
// CancelTimer and after its descriptors are closed.
#ifndef TESTS_LOAD_REACTOR_H_
#define TESTS_LOAD_REACTOR_H_

#include <cstdint>
#include <memory>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"

namespace zdd {

class Reactor {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnReady(uint32_t events) = 0;
    virtual void OnTimer() = 0;

   private:
    friend class Reactor;
    Instant due_ = absl::InfiniteDuration();
    Instant queued_ = absl::InfiniteDuration();  // never later than due_
  };

  static absl::StatusOr<std::unique_ptr<Reactor>> Create();

  // Edge-triggered, for reading and writing.
  absl::Status Watch(int fd, Handler* handler);
  void SetTimer(Handler* handler, Instant due);
  void CancelTimer(Handler* handler) { SetTimer(handler, absl::InfiniteDuration()); }

  // Waits for the next events, timers or Wake(), and runs the handlers.
  void Poll();
  void Wake();

 private:
  Reactor(OwnedFd epoll, OwnedFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  void Requeue(Handler* handler, Instant due);
  void RunTimers();

  const OwnedFd epoll_;
  const OwnedFd wake_;
  std::set<std::pair<Instant, Handler*>> timers_;
};

}  // namespace zdd

#endif  // TESTS_LOAD_REACTOR_H_
