// Listening sockets: making them, looking after them.
//
//   absl::StatusOr<zdd::BoundSocket> bound = zdd::BindSocket(*address, {.backlog = 1024});
//   if (!bound.ok()) return bound.status();     // "bind tcp://0.0.0.0:80: Permission denied ..."
//   poll(bound->fd.get()) ... accept4()
//
// Every socket made here is non-blocking for ever (O_NONBLOCK belongs to the open file description,
// hence to all generations that share it), close-on-exec and numbered 3 or higher.
//
// Threads: any. Errors: those of the system calls (see base/status.h), with the address: mostly
// AlreadyExists (taken), PermissionDenied (port below 1024), NotFound (no such IP or device here).
// On failure nothing stays open and no file remains.
#ifndef ZDD_NET_SOCKET_H_
#define ZDD_NET_SOCKET_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"
#include "zdd/net/address.h"
#include "zdd/net/socket_file.h"

namespace zdd {

struct SocketOptions {
  // Connections that wait to be accepted. The queue is what bridges a handoff and a frozen peer for
  // half a second, so it is long; net.core.somaxconn (4096 since Linux 5.4) caps it.
  int backlog = 4096;
  // Lets further sockets join as lanes. Off until a split is asked for: with it any program of the
  // same user that binds the port by mistake takes its share of the connections.
  bool reuse_port = false;
  bool dual_stack = true;         // [::] takes IPv4 clients too. Says nothing for other addresses
  std::string device;             // SO_BINDTODEVICE. Empty: any
  absl::optional<int> unix_mode;  // of a Unix socket's file, as in 0660. None: by umask
  // Called for each socket before bind(), and once more when an inherited one is adopted: any
  // setsockopt(). Its error fails the call.
  std::function<absl::Status(int fd)> hook;
};

struct BoundSocket {
  OwnedFd fd;
  absl::optional<SocketFile> file;  // Unix sockets with a path
};

// Whether the options can apply to such an address: no device or SO_REUSEPORT for Unix sockets, no
// permission bits for anything but a path. InvalidArgument says which does not.
absl::Status CheckOptions(const Address& address, const SocketOptions& options);

// A bound socket, for streams a listening one. SO_REUSEADDR is on for TCP from the first instant
// (accepted connections inherit it; without it a second lane could not bind while one of them
// lives), and off for UDP, where it would let anybody take over the port.
absl::StatusOr<BoundSocket> BindSocket(const Address& address, const SocketOptions& options = {},
                                       Syscalls& syscalls = Syscalls::Real());

// How many connections wait in a TCP listener's queue (tcpi_unacked of TCP_INFO, which for a
// listener is sk_ack_backlog). None for anything else: for Unix sockets the kernel does not tell.
absl::optional<int> AcceptQueueLength(int fd);

// Whether somebody called shutdown() on a Unix listener. SO_ACCEPTCONN stays 1 and listen()
// succeeds, while every connect() is refused: only poll() tells.
bool UnixListenerShutDown(int fd);

// What a Revive came to.
enum class Revival {
  kAlive,    // it listens; nothing was to be done
  kRevived,  // somebody had called shutdown() on it; it listens again on the same address
  kDead,     // it cannot listen again (Unix): bind a new one
};

// Repairs a listener that somebody shut down; that kills it for every process that shares it, and
// what was in its queue was reset. `address` is its own, with the real port: one bound to port 0
// loses that port by shutdown() and gets it back here.
absl::StatusOr<Revival> Revive(int fd, const Address& address, int backlog,
                               Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_NET_SOCKET_H_
