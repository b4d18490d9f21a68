// A state that is too large for a datagram travels in a memfd whose size and bytes nobody can
// change any more (memfd_create(2), fcntl(2) F_SEAL_*): the receiver could not trust one that
// shrinks or changes while it reads.
//
//   absl::StatusOr<OwnedFd> memfd = SealState(state);              // the sender
//   absl::StatusOr<std::string> state = ReadSealedState(fd, size); // the receiver
//
// Threads: any. Errors: of the system calls (ResourceExhausted: memory, descriptors); DataLoss if
// what came is no such memfd.
#ifndef ZDD_MIGRATION_SEALED_STATE_H_
#define ZDD_MIGRATION_SEALED_STATE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"

namespace zdd {

absl::StatusOr<OwnedFd> SealState(absl::string_view state, Syscalls& syscalls = Syscalls::Real());

// REQUIRES: size is one that the receiver is willing to hold.
absl::StatusOr<std::string> ReadSealedState(int memfd, size_t size);

}  // namespace zdd

#endif  // ZDD_MIGRATION_SEALED_STATE_H_
