// What an inherited socket is, and whether it fits what this version asks for.
//
//   absl::StatusOr<zdd::SocketFacts> facts = zdd::Examine(fd);
//   zdd::Reconciliation verdict = zdd::Reconcile(*facts, asked, options);
//   if (verdict.decision == zdd::Reconciliation::kKeep) status = zdd::AdoptSocket(fd, *facts,
//   options);
//
// Threads: any. Errors: Examine answers FailedPrecondition for what is no socket, InvalidArgument
// for a family that zdd does not know.
#ifndef ZDD_NET_SOCKET_FACTS_H_
#define ZDD_NET_SOCKET_FACTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "zdd/base/syscalls.h"
#include "zdd/net/address.h"
#include "zdd/net/socket.h"

namespace zdd {

struct SocketFacts {
  int family = 0;    // AF_INET, AF_INET6, AF_UNIX
  int type = 0;      // SOCK_STREAM, ...
  int protocol = 0;  // IPPROTO_TCP, ...
  Address address;   // where it is bound, with the real port
  bool listening = false;
  bool connected = false;  // no listener at all, but somebody's connection
  bool shut_down = false;  // a Unix listener that somebody called shutdown() on: beyond repair
  bool v6only = false;
  bool reuse_port = false;
  bool nonblocking = false;
  std::string device;                     // SO_BINDTODEVICE. Empty: any
  absl::optional<int> backlog;            // TCP listeners; the kernel does not tell others
  absl::optional<int> backlog_max;        // net.core.somaxconn
  absl::optional<int> unix_mode;          // permission bits of the file at the path
  uint64_t cookie = 0;                    // SO_COOKIE: this socket among all of this boot
  absl::optional<uint64_t> netns_cookie;  // SO_NETNS_COOKIE (Linux 5.14)
};

absl::StatusOr<SocketFacts> Examine(int fd, Syscalls& syscalls = Syscalls::Real());

struct Reconciliation {
  enum Decision {
    kKeep,    // it serves; `notes` are the differences that AdoptSocket applies: "backlog 128 ->
              // 4096"
    kRebind,  // it cannot become what is asked; `notes` are the reasons
  };
  Decision decision = kKeep;
  std::vector<std::string> notes;
};

// Pure. Port 0 fits any port of the same IP: a server that asked for any port keeps the one it got
// over all its generations. SO_REUSEPORT is only ever added, since the socket may be a lane.
Reconciliation Reconcile(const SocketFacts& facts, const Address& asked,
                         const SocketOptions& options);

// Makes a kept socket what is asked: non-blocking, hook, SO_REUSEPORT, permission bits, and for
// streams listen() once more, which sets the backlog and makes this process the one that
// SO_PEERCRED names. The predecessor's copy changes too: it is the same socket.
absl::Status AdoptSocket(int fd, const SocketFacts& facts, const SocketOptions& options,
                         Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_NET_SOCKET_FACTS_H_
