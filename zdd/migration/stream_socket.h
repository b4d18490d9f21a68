// Whether a descriptor that came from another process is what it is said to be: a connection.
//
// Threads: any. Lifetime: the fd is borrowed for the call.
#ifndef ZDD_MIGRATION_STREAM_SOCKET_H_
#define ZDD_MIGRATION_STREAM_SOCKET_H_

#include "absl/status/status.h"
#include "zdd/base/syscalls.h"

namespace zdd {

// Ok for a TCP or Unix stream socket that was connected once; its client may be gone already.
// FailedPrecondition for anything else.
absl::Status CheckStreamSocket(int fd, Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_MIGRATION_STREAM_SOCKET_H_
