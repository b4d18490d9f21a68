// Migrant is one live connection between two processes: the socket, and what its server knows of
// it.
//
//   sender->Add({std::move(fd), std::move(ticket), "http", "h1/2", state, age}, now);
//
// Lifetime: the ticket ends before the fd is closed, whatever becomes of it. A sender's ticket
// stays here until the connection is acknowledged or comes back, so that the drain counts it; one
// that was received has none yet.
// Threads: one at a time.
#ifndef ZDD_MIGRATION_MIGRANT_H_
#define ZDD_MIGRATION_MIGRANT_H_

#include <string>

#include "absl/time/time.h"
#include "zdd/base/owned_fd.h"
#include "zdd/drain/ticket.h"

namespace zdd {

struct Migrant {
  OwnedFd fd;
  Ticket ticket;         // behind the fd, so that it dies first
  std::string listener;  // who accepted it
  std::string format;    // of the state
  std::string state;     // what was read and not parsed, what was not written, the server's own
  absl::Duration age;    // since it was accepted
};

}  // namespace zdd

#endif  // ZDD_MIGRATION_MIGRANT_H_
