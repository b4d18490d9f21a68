// The control socket of a service: `<service>.sock` in the runtime directory, SEQPACKET. Successors
// and zddctl find the owner there.
//
//   absl::StatusOr<zdd::ControlStart> start = zdd::JoinOrBindControl(dir, "hello");
//   if (!start.ok()) return start.status();
//   if (start->bound) BecomeFirst(*std::move(start->bound));
//   else Join(std::move(start->predecessor));
//
// It is bound once, by the first generation, and then handed down like any listener: nobody ever
// binds it again while somebody lives who could answer. Its file is replaced only under the start
// lock, and only when connecting to it is refused.
//
// Threads: any. Lifetime: see each. Never blocks, but for the lock.
// Errors: PermissionDenied (the peer is somebody else's), Unavailable (its queue is full, or the
// lock was not to be had), FailedPrecondition (what lies there is no control socket), else what the
// system call says, with the path.
#ifndef ZDD_SERVICE_CONTROL_SOCKET_H_
#define ZDD_SERVICE_CONTROL_SOCKET_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"
#include "zdd/net/socket_file.h"
#include "zdd/service/runtime_dir.h"

namespace zdd {

// Peers that wait to be accepted.
inline constexpr int kControlBacklog = 64;

std::string ControlSocketName(absl::string_view service);  // "hello.sock"

struct ControlConnection {
  enum Answer {
    kConnected,
    kAbsent,  // no such file
    kStale,   // a file, but nobody listens: its owner died
  };
  Answer answer = kAbsent;
  OwnedFd fd;  // kConnected: non-blocking, close-on-exec, from 3 on; the peer is checked
};

// Connects to the owner of `service`, as whoever called listen() last shows itself.
absl::StatusOr<ControlConnection> ConnectControl(const RuntimeDir& dir, absl::string_view service,
                                                 Syscalls& syscalls = Syscalls::Real());

struct ControlSocket {
  OwnedFd fd;       // listening, non-blocking, close-on-exec, from 3 on
  SocketFile file;  // travels with it from generation to generation: the last one removes it
};

// Becomes the first: binds under a temporary name, listens, then renames, so that whoever finds the
// file finds somebody listening. Mode 0600. REQUIRES: ConnectControl said kAbsent or kStale under
// this very lock.
absl::StatusOr<ControlSocket> BindControl(const RuntimeDir& dir, absl::string_view service,
                                          const StartLock& lock,
                                          Syscalls& syscalls = Syscalls::Real());

// One of both is there.
struct ControlStart {
  OwnedFd predecessor;                  // connected to it
  absl::optional<ControlSocket> bound;  // this generation is the first
};

// All of the above in the right order: lock (`wait` for it at most), connect, bind if nobody
// answers, unlock.
absl::StatusOr<ControlStart> JoinOrBindControl(const RuntimeDir& dir, absl::string_view service,
                                               absl::Duration wait = kStartLockWait,
                                               Syscalls& syscalls = Syscalls::Real());

// Removes the file if it is still `file`: the last owner's farewell. Ok if it is gone, or somebody
// else's by now. REQUIRES: the socket is still open: later its inode number may be given anew.
absl::Status UnlinkControl(const RuntimeDir& dir, absl::string_view service, const SocketFile& file,
                           const StartLock& lock);

// Makes this process the one that connecting peers see (SO_PEERCRED tells who called listen()): to
// be called by each new owner. What is queued stays queued.
absl::Status ListenAgain(int fd, Syscalls& syscalls = Syscalls::Real());

// Ok if the peer of a connected socket runs as our effective user, or as root. PermissionDenied
// names both.
absl::Status CheckPeer(int fd, Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_SERVICE_CONTROL_SOCKET_H_
