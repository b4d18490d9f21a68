// PullAccept lets threads of the embedder wait for connections: Listener::Accept().
//
// One thread at a time looks at the sockets, the others queue behind it. The socket is polled by
// whoever waits and accepted from under the lock that SetSockets takes, so that a stop is complete
// when that returns.
//
// Threads: Accept from any thread but the loop, the rest on the loop. See accept_mode.h.
#ifndef ZDD_SERVICE_PULL_ACCEPT_H_
#define ZDD_SERVICE_PULL_ACCEPT_H_

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"
#include "zdd/service/accept_mode.h"
#include "zdd/service/service.h"

namespace zdd {

class PullAccept : public AcceptMode {
 public:
  // Errors: ResourceExhausted (an eventfd).
  static absl::StatusOr<std::unique_ptr<PullAccept>> Create(AcceptContext context);

  absl::optional<Connection> Accept();

  void SetSockets(std::vector<ActiveSocket> sockets, Task stopped) override;
  void TakeQueued(int fd) override;
  bool delivers() const override { return true; }
  bool Deliver(Connection connection, Task taken) override;
  void End() override;
  bool ready() const override { return asked_.load(std::memory_order_acquire); }

 private:
  PullAccept(AcceptContext context, OwnedFd wake);

  enum class Look { kConnection, kNothing, kExhausted, kEnded };
  Look LookOnce(absl::optional<Connection>* connection) ABSL_LOCKS_EXCLUDED(mutex_);
  Connection Make(OwnedFd fd, Address peer);
  void Sleep(bool exhausted);
  void Wake();

  const AcceptContext context_;
  const OwnedFd wake_;              // eventfd: something under mutex_ has changed
  std::atomic<bool> asked_{false};  // set by the first Accept(); pairs with ready() on the loop
  Mutex leader_;                    // held by the thread that looks
  Mutex mutex_;
  std::vector<ActiveSocket> sockets_ ABSL_GUARDED_BY(mutex_);
  struct Waiting {
    Connection connection;
    Task taken;
  };
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // by TakeQueued and Deliver
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // where to look first, so that no socket starves
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_ ABSL_GUARDED_BY(mutex_) = false;  // by Accept() that nothing comes any more
};

}  // namespace zdd

#endif  // ZDD_SERVICE_PULL_ACCEPT_H_
