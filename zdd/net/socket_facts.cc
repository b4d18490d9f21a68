#include "zdd/net/socket_facts.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "zdd/base/status.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71  // Linux 5.14
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace zdd {
namespace {

absl::StatusOr<int> Get(int fd, int level, int option, absl::string_view name, Syscalls& syscalls) {
  int value = 0;
  socklen_t size = sizeof value;
  if (syscalls.GetSockOpt(fd, level, option, &value, &size) == 0) return value;
  return ErrnoStatus(errno, absl::StrCat("examine fd ", fd, ": getsockopt ", name));
}

absl::optional<uint64_t> Cookie(int fd, int option, Syscalls& syscalls) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (syscalls.GetSockOpt(fd, SOL_SOCKET, option, &cookie, &size) != 0) return absl::nullopt;
  return cookie;
}

std::string Device(int fd, Syscalls& syscalls) {
  char name[IFNAMSIZ] = "";
  socklen_t size = sizeof name;
  // Unix sockets have none; nor has a device that was removed.
  if (syscalls.GetSockOpt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size) != 0) return "";
  return std::string(name, strnlen(name, size));
}

bool Connected(int fd) {
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  return getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

absl::optional<int> Backlog(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return absl::nullopt;
  if (info.tcpi_state != TCP_LISTEN) return absl::nullopt;
  return static_cast<int>(info.tcpi_sacked);  // sk_max_ack_backlog of a listener
}

absl::optional<int> BacklogMax() {
  std::FILE* file = std::fopen("/proc/sys/net/core/somaxconn", "re");
  if (file == nullptr) return absl::nullopt;
  int value = 0;
  const int read = std::fscanf(file, "%d", &value);
  std::fclose(file);
  return read == 1 ? absl::optional<int>(value) : absl::nullopt;
}

absl::StatusOr<Address> BoundAddress(int fd, const SocketFacts& facts) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("examine fd ", fd, ": getsockname"));
  }
  const Transport transport = facts.family == AF_UNIX    ? Transport::kUnix
                              : facts.type == SOCK_DGRAM ? Transport::kUdp
                                                         : Transport::kTcp;
  absl::StatusOr<Address> address =
      Address::FromSockaddr(transport, reinterpret_cast<sockaddr*>(&name), size);
  if (!address.ok()) return Annotate(address.status(), absl::StrCat("examine fd ", fd));
  return address;
}

void ExamineUnix(int fd, SocketFacts* facts) {
  facts->shut_down = facts->listening && UnixListenerShutDown(fd);
  facts->listening = facts->listening && !facts->shut_down;
  struct stat found;
  const std::string path(facts->address.path());
  if (!facts->address.abstract() && lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) {
    facts->unix_mode = found.st_mode & 07777;
  }
}

absl::string_view TypeName(int type) {
  if (type == SOCK_STREAM) return "stream";
  if (type == SOCK_DGRAM) return "datagram";
  return type == SOCK_SEQPACKET ? "seqpacket" : "other";
}

std::string ModeText(int mode) { return absl::StrFormat("%04o", mode); }

// Reasons why the socket cannot become what is asked.
std::vector<std::string> Misfits(const SocketFacts& facts, const Address& asked,
                                 const SocketOptions& options) {
  std::vector<std::string> reasons;
  const auto differs = [&](absl::string_view what, const auto& is, const auto& wanted) {
    reasons.push_back(absl::StrCat(what, " ", is, ", asked ", wanted));
  };
  const int type = asked.transport() == Transport::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  if (facts.type != type) differs("type", TypeName(facts.type), TypeName(type));
  const bool tcp = asked.transport() == Transport::kTcp;
  // A Multipath TCP listener serves TCP clients as well.
  if (tcp && facts.type == type && facts.family != AF_UNIX && facts.protocol != IPPROTO_TCP &&
      facts.protocol != IPPROTO_MPTCP) {
    differs("protocol", facts.protocol, IPPROTO_TCP);
  }
  const Address bound = asked.port() == 0 ? facts.address.WithPort(0) : facts.address;
  if (bound != asked) differs("address", facts.address.ToString(), asked.ToString());
  if (asked.family() == AF_INET6 && asked.any_ip() && facts.v6only == options.dual_stack) {
    reasons.push_back(facts.v6only ? "takes IPv6 only, asked IPv4 too"
                                   : "takes IPv4 too, asked IPv6 only");
  }
  if (facts.device != options.device) {
    differs("device", absl::StrCat("\"", facts.device, "\""),
            absl::StrCat("\"", options.device, "\""));
  }
  if (facts.connected) reasons.push_back("is a connection");
  if (facts.shut_down) reasons.push_back("somebody called shutdown() on it");
  return reasons;
}

// Differences that AdoptSocket levels.
std::vector<std::string> Changes(const SocketFacts& facts, const SocketOptions& options) {
  std::vector<std::string> notes;
  const int backlog = std::min(options.backlog, facts.backlog_max.value_or(options.backlog));
  if (facts.backlog.has_value() && *facts.backlog != backlog) {
    notes.push_back(absl::StrCat("backlog ", *facts.backlog, " -> ", backlog));
  }
  if (facts.type == SOCK_STREAM && !facts.listening) notes.push_back("not listening -> listening");
  if (!facts.nonblocking) notes.push_back("blocking -> non-blocking");
  if (options.reuse_port && !facts.reuse_port) notes.push_back("SO_REUSEPORT off -> on");
  if (options.unix_mode.has_value() && facts.unix_mode.has_value() &&
      *options.unix_mode != *facts.unix_mode) {
    notes.push_back(
        absl::StrCat("mode ", ModeText(*facts.unix_mode), " -> ", ModeText(*options.unix_mode)));
  }
  return notes;
}

absl::Status SetNonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "fcntl O_NONBLOCK");
}

absl::Status Apply(int fd, const SocketFacts& facts, const SocketOptions& options,
                   Syscalls& syscalls) {
  absl::Status status = facts.nonblocking ? absl::OkStatus() : SetNonblocking(fd);
  if (status.ok() && options.hook) status = Annotate(options.hook(fd), "socket hook");
  if (!status.ok()) return status;
  const int on = 1;
  if (options.reuse_port && !facts.reuse_port &&
      syscalls.SetSockOpt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    return ErrnoStatus(errno, "setsockopt SO_REUSEPORT");
  }
  if (options.unix_mode.has_value() && facts.unix_mode.has_value() &&
      chmod(std::string(facts.address.path()).c_str(), *options.unix_mode) != 0) {
    return ErrnoStatus(errno, "chmod");
  }
  if (facts.type == SOCK_STREAM && syscalls.Listen(fd, options.backlog) != 0) {
    return ErrnoStatus(errno, "listen");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SocketFacts> Examine(int fd, Syscalls& syscalls) {
  SocketFacts facts;
  absl::Status status;
  const auto take = [&](int level, int option, absl::string_view name) {
    absl::StatusOr<int> value = Get(fd, level, option, name, syscalls);
    status.Update(value.status());
    return value.value_or(0);
  };
  facts.family = take(SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN");
  facts.type = take(SOL_SOCKET, SO_TYPE, "SO_TYPE");
  facts.protocol = take(SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL");
  facts.listening = take(SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN") != 0;
  facts.reuse_port = take(SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT") != 0;
  if (facts.family == AF_INET6) {
    facts.v6only = take(IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY") != 0;
  }
  if (!status.ok()) return status;
  absl::StatusOr<Address> address = BoundAddress(fd, facts);
  if (!address.ok()) return address.status();
  facts.address = *address;
  facts.connected = Connected(fd);
  facts.nonblocking = (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
  facts.device = Device(fd, syscalls);
  facts.backlog = Backlog(fd);
  facts.backlog_max = BacklogMax();
  facts.cookie = Cookie(fd, SO_COOKIE, syscalls).value_or(0);
  facts.netns_cookie = Cookie(fd, SO_NETNS_COOKIE, syscalls);
  if (facts.family == AF_UNIX) ExamineUnix(fd, &facts);
  return facts;
}

Reconciliation Reconcile(const SocketFacts& facts, const Address& asked,
                         const SocketOptions& options) {
  std::vector<std::string> reasons = Misfits(facts, asked, options);
  if (!reasons.empty()) return {Reconciliation::kRebind, std::move(reasons)};
  return {Reconciliation::kKeep, Changes(facts, options)};
}

absl::Status AdoptSocket(int fd, const SocketFacts& facts, const SocketOptions& options,
                         Syscalls& syscalls) {
  return Annotate(Apply(fd, facts, options, syscalls),
                  absl::StrCat("adopt ", facts.address.ToString()));
}

}  // namespace zdd
