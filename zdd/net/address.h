// Address says where a server listens or who a peer is: transport, IP or path, port. A plain value.
//
//   absl::StatusOr<zdd::Address> address = zdd::Address::Parse("tcp://[::1]:8080");
//   if (!address.ok()) return address.status();
//   bind(fd, address->sockaddr(), address->size());
//   LOG(INFO) << address->ToString();                      // "tcp://[::1]:8080"
//
// Forms, and nothing else: zdd resolves no names, since a name may mean several sockets.
//   tcp://0.0.0.0:80   tcp://[::]:0   tcp://[fe80::1%eth0]:80   udp://192.0.2.1:443
//   unix:///run/x.sock (absolute)   unix:run/x.sock (relative)   unix:@name (abstract, Linux only)
// Port 0 lets the kernel choose. In paths and names %XX stands for one byte, so any bytes can be
// said. Whether "[::]" takes IPv4 clients too is an option of the socket, no part of its address.
//
// Threads: a value. Lifetime: none. Errors: InvalidArgument, with the text, the reason, and what
// would be right.
#ifndef ZDD_NET_ADDRESS_H_
#define ZDD_NET_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace zdd {

enum class Transport { kTcp, kUdp, kUnix };  // kUnix: a stream

absl::string_view TransportName(Transport transport);  // "tcp"

class Address {
 public:
  // What fits into sun_path with its terminating zero, or behind its leading one (unix(7)).
  static constexpr int kUnixPathBytesMax = 107;

  // The unnamed Unix address: that of a client which bound no path. ToString() is "unix:", and it
  // is the one address that Parse refuses.
  Address();

  static absl::StatusOr<Address> Parse(absl::string_view text);

  // From getsockname, getpeername, accept. What has no name is the unnamed address.
  static absl::StatusOr<Address> FromSockaddr(Transport transport, const struct sockaddr* address,
                                              socklen_t size);

  // The one canonical text: Parse(a.ToString()) == a.
  std::string ToString() const;

  Transport transport() const { return transport_; }
  int family() const { return storage_.ss_family; }  // AF_INET, AF_INET6, AF_UNIX
  int port() const;                                  // 0: the kernel's choice, or Unix
  bool unnamed() const;
  bool abstract() const;
  // Unix: the bytes of the path, or of the abstract name without its leading zero. Else empty.
  absl::string_view path() const;
  bool any_ip() const;  // 0.0.0.0 or [::]

  // The same IP with another port. A Unix address stays what it is.
  Address WithPort(uint16_t port) const;

  // For bind and connect.
  const struct sockaddr* sockaddr() const;
  socklen_t size() const { return size_; }

  friend bool operator==(const Address& a, const Address& b);
  friend bool operator!=(const Address& a, const Address& b) { return !(a == b); }

 private:
  absl::Status TakeIp(const struct sockaddr* address, socklen_t size);
  absl::Status TakeUnix(const struct sockaddr* address, socklen_t size);
  void Store(const void* address, socklen_t size);

  template <typename T>
  const T& As() const {
    return reinterpret_cast<const T&>(storage_);
  }

  Transport transport_ = Transport::kUnix;
  socklen_t size_;
  sockaddr_storage storage_;  // zero beyond what is meant, so that equality is that of bytes
};

}  // namespace zdd

#endif  // ZDD_NET_ADDRESS_H_
