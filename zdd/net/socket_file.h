// SocketFile is the file that a Unix socket leaves in the file system, and the right to remove it.
//
//   zdd::SocketDirectoryLock lock("/run/x.sock");
//   absl::StatusOr<zdd::SocketFile> file =
//       zdd::BindSocketFile(fd, address, /*mode=*/0660, zdd::Syscalls::Real());
//   listen(fd, backlog);         // then the lock may go
//   ...
//   zdd::UnlinkOwn(*file);       // while fd is still open: only then is the inode certainly ours
//
// A crash leaves the file behind: it is stale when connecting to it is refused, and is then
// replaced. A socket on which somebody answers is never touched, nor anything that is no socket.
// fstat(fd) tells the inode of the socket, not that of its file, so the latter is remembered and
// travels with the socket from generation to generation.
//
// Two processes that start at once would both find the file stale, and the second would remove what
// the first had just bound. Hence an flock on the directory, held for the microseconds between
// looking and listening; it leaves no file. A stranger who holds that lock delays a bind by 200 ms.
//
// Threads: any. Errors: AlreadyExists (somebody answers), FailedPrecondition (no socket is there),
// else what the system call says.
#ifndef ZDD_NET_SOCKET_FILE_H_
#define ZDD_NET_SOCKET_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"
#include "zdd/net/address.h"

namespace zdd {

// A plain value, fit for a manifest.
struct SocketFile {
  std::string path;  // as it was bound; a relative one means the working directory of that time
  uint64_t device = 0;
  uint64_t inode = 0;
};

// Holds the lock on the directory of `path`; empty if it was not to be had.
class SocketDirectoryLock {
 public:
  explicit SocketDirectoryLock(const std::string& path, Syscalls& syscalls = Syscalls::Real());
  bool held() const { return directory_.valid(); }

 private:
  OwnedFd directory_;
};

// Binds `fd` to the path of `address`, having removed a stale file. Permission bits are set before
// anybody can connect; by default they follow the umask. Nothing is left behind on failure.
// REQUIRES: a SocketDirectoryLock, kept until listen() was called.
absl::StatusOr<SocketFile> BindSocketFile(int fd, const Address& address, absl::optional<int> mode,
                                          Syscalls& syscalls);

// The file at `path` as it is now. NotFound; FailedPrecondition if it is no socket.
absl::StatusOr<SocketFile> FindSocketFile(const std::string& path);

// Whether the path still leads to this very file: nobody removed or replaced it.
bool StillThere(const SocketFile& file);

// How a file that is not there any more was lost, in words: "it was removed".
std::string LossOf(const SocketFile& file);

// Removes the file if it is still this one; Ok if it is gone, or somebody else's by now.
// REQUIRES: the socket is still open somewhere; later its inode number may be given anew.
absl::Status UnlinkOwn(const SocketFile& file);

}  // namespace zdd

#endif  // ZDD_NET_SOCKET_FILE_H_
