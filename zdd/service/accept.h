// Accepting one connection, with each of accept4's answers sorted by what is to be done about it.
//
//   Accepted accepted = AcceptOne(fd, Transport::kTcp, /*blocking=*/false);
//   if (accepted.kind == Accepted::kConnection) Serve(std::move(accepted.fd), accepted.peer);
//
// Threads: any.
#ifndef ZDD_SERVICE_ACCEPT_H_
#define ZDD_SERVICE_ACCEPT_H_

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

}  // namespace zdd

#endif  // ZDD_SERVICE_ACCEPT_H_
