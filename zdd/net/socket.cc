#include "zdd/net/socket.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

bool IsStream(const Address& address) { return address.transport() != Transport::kUdp; }

bool HasFile(const Address& address) {
  return address.transport() == Transport::kUnix && !address.abstract();
}

absl::Status OptionError(const Address& address, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat("socket options for ", address.ToString(), ": ", reason));
}

absl::Status SetInt(int fd, int level, int option, int value, absl::string_view name,
                    Syscalls& syscalls) {
  if (syscalls.SetSockOpt(fd, level, option, &value, sizeof value) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("setsockopt ", name));
}

// What has to be set before bind().
absl::Status SetOptions(int fd, const Address& address, const SocketOptions& options,
                        Syscalls& syscalls) {
  absl::Status status;
  if (address.transport() == Transport::kTcp) {
    status.Update(SetInt(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR", syscalls));
  }
  if (address.family() == AF_INET6) {
    // Always said: the default is a sysctl.
    const int v6only = options.dual_stack ? 0 : 1;
    status.Update(SetInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only, "IPV6_V6ONLY", syscalls));
  }
  if (options.reuse_port) {
    status.Update(SetInt(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT", syscalls));
  }
  if (!options.device.empty() &&
      syscalls.SetSockOpt(fd, SOL_SOCKET, SO_BINDTODEVICE, options.device.data(),
                          options.device.size()) != 0) {
    status.Update(ErrnoStatus(errno, absl::StrCat("setsockopt SO_BINDTODEVICE ", options.device)));
  }
  if (status.ok() && options.hook) status = Annotate(options.hook(fd), "socket hook");
  return status;
}

bool LinkLocal(const Address& address) {
  return address.family() == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(
             &reinterpret_cast<const sockaddr_in6*>(address.sockaddr())->sin6_addr);
}

absl::string_view BindHint(int error, const Address& address) {
  if (error == EACCES && address.port() > 0 && address.port() < 1024) {
    return " (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
  }
  if (error == EINVAL && LinkLocal(address)) {
    return " (a link-local address needs its interface, as in [fe80::1%eth0])";
  }
  if (error == EADDRINUSE && address.port() > 0) {
    return " (who listens there, ss -ltnp tells; a predecessor of ours is found by the same "
           "Options::name, runtime_dir and user; if its control socket was just removed, it makes "
           "that again within 10 s: try again then)";
  }
  if (error == EADDRNOTAVAIL) return " (no interface of this host has this IP)";
  return "";
}

absl::Status BindError(int error, const Address& address) {
  return ErrnoStatus(error, absl::StrCat("bind ", address.ToString(), BindHint(error, address)));
}

absl::Status ListenIfStream(int fd, const Address& address, int backlog, Syscalls& syscalls) {
  if (!IsStream(address) || syscalls.Listen(fd, backlog) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("listen ", address.ToString()));
}

absl::StatusOr<BoundSocket> BindToPath(OwnedFd fd, const Address& address,
                                       const SocketOptions& options, Syscalls& syscalls) {
  SocketDirectoryLock lock(std::string(address.path()), syscalls);
  absl::StatusOr<SocketFile> file = BindSocketFile(fd.get(), address, options.unix_mode, syscalls);
  if (!file.ok()) return file.status();
  absl::Status listening = ListenIfStream(fd.get(), address, options.backlog, syscalls);
  if (!listening.ok()) {
    unlink(file->path.c_str());
    return listening;
  }
  return BoundSocket{std::move(fd), *std::move(file)};
}

int IntOption(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

}  // namespace

absl::Status CheckOptions(const Address& address, const SocketOptions& options) {
  if (address.unnamed()) return OptionError(address, "it has no name to bind");
  if (options.backlog < 1) {
    return OptionError(address, absl::StrCat("backlog ", options.backlog, ", at least 1"));
  }
  if (options.device.size() >= IFNAMSIZ) {
    // The kernel would cut it, and bind to another device.
    return OptionError(address,
                       absl::StrCat("device \"", options.device, "\" is too long (",
                                    options.device.size(), " bytes, at most ", IFNAMSIZ - 1, ")"));
  }
  const bool unix_domain = address.transport() == Transport::kUnix;
  if (unix_domain && !options.device.empty()) {
    return OptionError(address, "a Unix socket has no device");
  }
  if (unix_domain && options.reuse_port) {
    return OptionError(address, "a Unix socket has no SO_REUSEPORT");
  }
  if (options.unix_mode.has_value() && !HasFile(address)) {
    return OptionError(address, "unix_mode is for a Unix socket with a path");
  }
  if (options.unix_mode.value_or(0) & ~07777) {
    return OptionError(address, "unix_mode has more than permission bits, as in 0660");
  }
  return absl::OkStatus();
}

absl::StatusOr<BoundSocket> BindSocket(const Address& address, const SocketOptions& options,
                                       Syscalls& syscalls) {
  absl::Status status = CheckOptions(address, options);
  if (!status.ok()) return status;
  const int type = (IsStream(address) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  OwnedFd fd = AboveStdio(OwnedFd(syscalls.Socket(address.family(), type, 0)), syscalls);
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("socket ", address.ToString()));
  status = SetOptions(fd.get(), address, options, syscalls);
  if (!status.ok()) return Annotate(status, absl::StrCat("bind ", address.ToString()));
  if (HasFile(address)) return BindToPath(std::move(fd), address, options, syscalls);
  if (syscalls.Bind(fd.get(), address.sockaddr(), address.size()) != 0) {
    return BindError(errno, address);
  }
  status = ListenIfStream(fd.get(), address, options.backlog, syscalls);
  if (!status.ok()) return status;
  return BoundSocket{std::move(fd), absl::nullopt};
}

absl::optional<int> AcceptQueueLength(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return absl::nullopt;
  if (info.tcpi_state != TCP_LISTEN) return absl::nullopt;
  return static_cast<int>(info.tcpi_unacked);
}

bool UnixListenerShutDown(int fd) {
  pollfd entry = {fd, POLLRDHUP, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLRDHUP) != 0;
}

absl::StatusOr<Revival> Revive(int fd, const Address& address, int backlog, Syscalls& syscalls) {
  const bool unix_domain = address.transport() == Transport::kUnix;
  if (!IsStream(address)) return Revival::kAlive;
  if (IntOption(fd, SO_ACCEPTCONN) != 0) {
    return unix_domain && UnixListenerShutDown(fd) ? Revival::kDead : Revival::kAlive;
  }
  // A socket that was bound to port 0 has lost its port and may be bound once more; one that was
  // bound to a number still has it, and answers EINVAL.
  if (!unix_domain && syscalls.Bind(fd, address.sockaddr(), address.size()) != 0 &&
      errno != EINVAL) {
    return Annotate(BindError(errno, address), "revive listener");
  }
  absl::Status status = ListenIfStream(fd, address, backlog, syscalls);
  if (!status.ok()) return Annotate(status, "revive listener");
  return Revival::kRevived;
}

}  // namespace zdd
