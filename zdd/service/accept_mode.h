// AcceptMode is one of the three ways in which a listener's connections come in: pull, push, raw.
//
//   mode->SetSockets({{0, fd}}, nullptr);                  // accept from this one
//   mode->SetSockets({}, [] { /* no accept can follow */ });
//
// Threads: the loop. Lifetime: a mode outlives the sockets that it was given; it borrows their fds.
#ifndef ZDD_SERVICE_ACCEPT_MODE_H_
#define ZDD_SERVICE_ACCEPT_MODE_H_

#include <functional>
#include <vector>

#include "zdd/drain/ticket.h"
#include "zdd/net/address.h"
#include "zdd/service/callbacks.h"
#include "zdd/service/loop.h"

namespace zdd {

struct Connection;

struct ActiveSocket {
  int index = 0;  // of the socket in its listener
  int fd = -1;
  friend bool operator==(const ActiveSocket&, const ActiveSocket&) = default;
};

// What a mode needs of its listener. The functions may be called from any thread.
struct AcceptContext {
  Loop* loop = nullptr;
  Callbacks* callbacks = nullptr;
  Transport transport = Transport::kTcp;
  bool blocking_connections = false;
  std::function<Ticket(int fd)> enter;
  std::function<void()> on_ready;               // ready() has become true
  std::function<void(int index)> on_dead;       // somebody shut that socket down
  std::function<void(int error)> on_exhausted;  // out of fds or memory: paused for a while
};

class AcceptMode {
 public:
  virtual ~AcceptMode() = default;

  // Accept from these and no others. `stopped` (may be null) runs on the loop once no accept from
  // another one can follow.
  virtual void SetSockets(std::vector<ActiveSocket> sockets, Task stopped) = 0;

  // Accepts what waits in the queue of a socket that is about to be closed.
  virtual void TakeQueued(int fd) = 0;

  // Whether it can serve a connection that another process, or this one, had begun to.
  virtual bool delivers() const = 0;
  // REQUIRES: delivers(). `taken` (may be null) runs on any thread when the server has taken it up.
  // False if nobody asks for connections any more: it is closed.
  virtual bool Deliver(Connection connection, Task taken) = 0;

  // Nothing will come any more.
  virtual void End() = 0;

  // Whether somebody waits for connections.
  virtual bool ready() const = 0;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_ACCEPT_MODE_H_
