// Accepting one connection, with each of accept4's answers sorted by what is to be done about it.
//
//   Accepted accepted = AcceptOne(fd, Transport::kTcp, /*blocking=*/false);
//   if (accepted.kind == Accepted::kConnection) Serve(std::move(accepted.fd), accepted.peer);
//
// Threads: any.
#ifndef ZDD_SERVICE_ACCEPT_H_
#define ZDD_SERVICE_ACCEPT_H_

#include "absl/status/status.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"
#include "zdd/net/address.h"

namespace zdd {

struct Accepted {
  enum Kind {
    kConnection,
    kEmpty,      // nobody waits
    kExhausted,  // no fds or memory: who waits goes on waiting in the queue; try again later
    kDead,       // no longer a listening socket: somebody shut it down
  };
  Kind kind = kEmpty;
  OwnedFd fd;  // close-on-exec, from 3 on
  Address peer;
  int error = 0;  // errno of kExhausted and kDead
};

// Connections that died in the queue are passed over (accept(2), "Error handling": Linux hands out
// their errors).
Accepted AcceptOne(int listener, Transport transport, bool blocking,
                   Syscalls& syscalls = Syscalls::Real());

// Of a connection that comes from elsewhere: the mode in which this listener gives them, and who is
// at its other end (nobody known if the client is gone).
absl::Status SetBlocking(int fd, bool blocking);
Address PeerAddress(int fd, Transport transport);

}  // namespace zdd

#endif  // ZDD_SERVICE_ACCEPT_H_
