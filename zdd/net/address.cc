#include "zdd/net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"
#include "zdd/base/percent.h"

namespace zdd {
namespace {

constexpr socklen_t kUnixHeaderBytes = offsetof(sockaddr_un, sun_path);

// How much of a wrong text an error shows.
constexpr size_t kTextShownMax = 150;

absl::Status Wrong(absl::string_view text, absl::string_view reason) {
  std::string shown = absl::CHexEscape(text.substr(0, kTextShownMax));
  return absl::InvalidArgumentError(
      absl::StrCat("address \"", shown, text.size() > kTextShownMax ? "..." : "", "\": ", reason));
}

absl::StatusOr<uint16_t> ParsePort(absl::string_view text, absl::string_view port) {
  bool digits = !port.empty();
  for (char c : port) digits = digits && absl::ascii_isdigit(c);
  if (!digits) {
    return Wrong(text, absl::StrCat("the port is \"", absl::CHexEscape(port.substr(0, 20)),
                                    "\"; write a number from 0 to 65535"));
  }
  uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number > 65535) {
    return Wrong(text, absl::StrCat("port ", port.substr(0, 20), " is out of range (0 to 65535)"));
  }
  return static_cast<uint16_t>(number);
}

// An interface's name, or its number where it has none.
std::string ZoneName(uint32_t scope) {
  char name[IF_NAMESIZE];
  return if_indextoname(scope, name) != nullptr ? std::string(name) : absl::StrCat(scope);
}

absl::StatusOr<uint32_t> ParseZone(absl::string_view text, absl::string_view zone) {
  const std::string name(zone);
  uint32_t scope = name.find('\0') == name.npos ? if_nametoindex(name.c_str()) : 0;
  bool digits = !name.empty();
  for (char c : name) digits = digits && absl::ascii_isdigit(c);
  if (scope == 0 && (!digits || !absl::SimpleAtoi(name, &scope) || scope == 0)) {
    return Wrong(text, absl::StrCat("there is no interface \"",
                                    absl::CHexEscape(zone.substr(0, IF_NAMESIZE)), "\" here"));
  }
  return scope;
}

bool NeedsZone(const in6_addr& ip) {
  return IN6_IS_ADDR_LINKLOCAL(&ip) || IN6_IS_ADDR_MC_LINKLOCAL(&ip);
}

// Without brackets: "::1", "fe80::1%eth0".
absl::StatusOr<sockaddr_in6> ParseIp6(absl::string_view text, absl::string_view host) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  const size_t percent = host.find('%');
  const std::string ip(host.substr(0, percent));
  if (ip.find('\0') != ip.npos || inet_pton(AF_INET6, ip.c_str(), &address.sin6_addr) != 1) {
    return Wrong(text, "in brackets goes a literal IPv6 address, as in tcp://[::1]:80");
  }
  if (percent == host.npos) return address;
  if (!NeedsZone(address.sin6_addr)) {
    return Wrong(text, "only a link-local address (fe80::/10) has an interface");
  }
  absl::StatusOr<uint32_t> scope = ParseZone(text, host.substr(percent + 1));
  if (!scope.ok()) return scope.status();
  address.sin6_scope_id = *scope;
  return address;
}

absl::StatusOr<sockaddr_in> ParseIp4(absl::string_view text, absl::string_view host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const std::string ip(host);
  if (ip.find('\0') == ip.npos && inet_pton(AF_INET, ip.c_str(), &address.sin_addr) == 1) {
    return address;
  }
  if (host.empty() || host == "*") {
    return Wrong(text, "no IP; for all interfaces write 0.0.0.0 or [::]");
  }
  if (host == "localhost") return Wrong(text, "a name; write 127.0.0.1 or [::1]");
  if (absl::StrContains(host, ':')) {
    return Wrong(text, "an IPv6 address goes in brackets, as in tcp://[::1]:80");
  }
  return Wrong(text, "not a literal IP (names are not resolved); write it as in 192.0.2.1");
}

absl::StatusOr<std::string> DecodePath(absl::string_view text, absl::string_view encoded) {
  if (absl::StrContains(encoded, '?') || absl::StrContains(encoded, '#')) {
    return Wrong(text, "a path has no ? or #; write %3F or %23");
  }
  absl::optional<std::string> path = PercentDecode(encoded);
  if (path.has_value()) return *std::move(path);
  return Wrong(text, "% needs two hexadecimal digits; write %25 for a percent sign");
}

std::string EncodePath(absl::string_view path) {
  // What RFC 3986 lets stand there as it is.
  return PercentEncode(path, [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("-._~!$&'()*+,;=:@/", c);
  });
}

absl::StatusOr<Address> ParseIp(Transport transport, absl::string_view text,
                                absl::string_view rest) {
  const bool bracketed = absl::StartsWith(rest, "[");
  const size_t bracket = rest.rfind(']');
  if (bracketed && bracket == rest.npos) return Wrong(text, "the bracket is not closed");
  const size_t colon = bracketed ? bracket + 1 : rest.rfind(':');
  if (colon >= rest.size() || rest[colon] != ':') {
    return Wrong(text, "no port; write it as in tcp://0.0.0.0:80");
  }
  absl::StatusOr<uint16_t> port = ParsePort(text, rest.substr(colon + 1));
  if (!port.ok()) return port.status();
  if (bracketed) {
    absl::StatusOr<sockaddr_in6> ip = ParseIp6(text, rest.substr(1, bracket - 1));
    if (!ip.ok()) return ip.status();
    ip->sin6_port = htons(*port);
    return Address::FromSockaddr(transport, reinterpret_cast<sockaddr*>(&*ip), sizeof *ip);
  }
  absl::StatusOr<sockaddr_in> ip = ParseIp4(text, rest.substr(0, colon));
  if (!ip.ok()) return ip.status();
  ip->sin_port = htons(*port);
  return Address::FromSockaddr(transport, reinterpret_cast<sockaddr*>(&*ip), sizeof *ip);
}

absl::StatusOr<Address> ParseUnix(absl::string_view text, absl::string_view rest) {
  if (absl::ConsumePrefix(&rest, "//") && !absl::StartsWith(rest, "/")) {
    return Wrong(text, "no place for a host; write unix:///run/x.sock, unix:x.sock or unix:@name");
  }
  const bool abstract = absl::ConsumePrefix(&rest, "@");
  absl::StatusOr<std::string> path = DecodePath(text, rest);
  if (!path.ok()) return path.status();
  if (path->empty()) return Wrong(text, abstract ? "the name is empty" : "the path is empty");
  if (!abstract && absl::StrContains(*path, '\0')) {
    return Wrong(text, "a path cannot hold a zero byte (%00); an abstract name (unix:@...) can");
  }
  if (path->size() > Address::kUnixPathBytesMax) {
    return Wrong(text, absl::StrCat("the path is too long (", path->size(), " bytes, at most ",
                                    Address::kUnixPathBytesMax, ")"));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + (abstract ? 1 : 0), path->data(), path->size());
  return Address::FromSockaddr(Transport::kUnix, reinterpret_cast<sockaddr*>(&address),
                               kUnixHeaderBytes + 1 + path->size());
}

absl::Status Unknown(absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("socket address: ", reason));
}

}  // namespace

absl::string_view TransportName(Transport transport) {
  switch (transport) {
    case Transport::kTcp:
      return "tcp";
    case Transport::kUdp:
      return "udp";
    case Transport::kUnix:
      return "unix";
  }
  return "?";
}

Address::Address() : size_(kUnixHeaderBytes), storage_{} { storage_.ss_family = AF_UNIX; }

absl::StatusOr<Address> Address::Parse(absl::string_view text) {
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "tcp://")) return ParseIp(Transport::kTcp, text, rest);
  if (absl::ConsumePrefix(&rest, "udp://")) return ParseIp(Transport::kUdp, text, rest);
  if (absl::ConsumePrefix(&rest, "unix:")) return ParseUnix(text, rest);
  if (!absl::StrContains(text, "://")) {
    return Wrong(text, "no scheme; write it as in tcp://0.0.0.0:80 or unix:///run/x.sock");
  }
  return Wrong(text, "unknown scheme; there are tcp, udp and unix");
}

absl::StatusOr<Address> Address::FromSockaddr(Transport transport, const struct sockaddr* address,
                                              socklen_t size) {
  Address result;
  if (size < sizeof(sa_family_t)) {
    if (transport == Transport::kUnix) return result;
    return Unknown(absl::StrCat("too short (", size, " bytes)"));
  }
  const bool unix_domain = address->sa_family == AF_UNIX;
  if (unix_domain != (transport == Transport::kUnix)) {
    return Unknown(absl::StrCat("family ", address->sa_family, " does not go with ",
                                TransportName(transport)));
  }
  result.transport_ = transport;
  absl::Status taken = unix_domain ? result.TakeUnix(address, size) : result.TakeIp(address, size);
  if (!taken.ok()) return taken;
  return result;
}

absl::Status Address::TakeIp(const struct sockaddr* address, socklen_t size) {
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in from;
    std::memcpy(&from, address, sizeof from);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr = from.sin_addr;
    to.sin_port = from.sin_port;
    Store(&to, sizeof to);
    return absl::OkStatus();
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 from;
    std::memcpy(&from, address, sizeof from);
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_addr = from.sin6_addr;
    to.sin6_port = from.sin6_port;
    if (NeedsZone(from.sin6_addr)) to.sin6_scope_id = from.sin6_scope_id;
    Store(&to, sizeof to);
    return absl::OkStatus();
  }
  return Unknown(absl::StrCat("family ", address->sa_family, " of ", size, " bytes"));
}

absl::Status Address::TakeUnix(const struct sockaddr* address, socklen_t size) {
  if (size <= kUnixHeaderBytes) return absl::OkStatus();  // the unnamed one
  const char* bytes = reinterpret_cast<const char*>(address) + kUnixHeaderBytes;
  const bool abstract = bytes[0] == '\0';
  // An abstract name is as long as the size says, zeros included; a path ends at its first zero.
  const size_t length =
      abstract ? size - kUnixHeaderBytes - 1 : strnlen(bytes, size - kUnixHeaderBytes);
  if (length == 0) return Unknown("empty abstract name");
  if (length > kUnixPathBytesMax) {
    return Unknown(
        absl::StrCat("path too long (", length, " bytes, at most ", kUnixPathBytesMax, ")"));
  }
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path + (abstract ? 1 : 0), bytes + (abstract ? 1 : 0), length);
  Store(&to, kUnixHeaderBytes + 1 + length);
  return absl::OkStatus();
}

void Address::Store(const void* address, socklen_t size) {
  std::memcpy(&storage_, address, size);
  size_ = size;
}

std::string Address::ToString() const {
  if (family() == AF_INET) {
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &As<sockaddr_in>().sin_addr, ip, sizeof ip);
    return absl::StrCat(TransportName(transport_), "://", ip, ":", port());
  }
  if (family() == AF_INET6) {
    const sockaddr_in6& address = As<sockaddr_in6>();
    char ip[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &address.sin6_addr, ip, sizeof ip);
    const std::string zone =
        address.sin6_scope_id == 0 ? "" : absl::StrCat("%", ZoneName(address.sin6_scope_id));
    return absl::StrCat(TransportName(transport_), "://[", ip, zone, "]:", port());
  }
  if (abstract()) return absl::StrCat("unix:@", EncodePath(path()));
  if (absl::StartsWith(path(), "/")) return absl::StrCat("unix://", EncodePath(path()));
  // A relative path may begin with @, which would make it an abstract name.
  if (absl::StartsWith(path(), "@")) return absl::StrCat("unix:%40", EncodePath(path().substr(1)));
  return absl::StrCat("unix:", EncodePath(path()));
}

int Address::port() const {
  if (family() == AF_INET) return ntohs(As<sockaddr_in>().sin_port);
  if (family() == AF_INET6) return ntohs(As<sockaddr_in6>().sin6_port);
  return 0;
}

bool Address::unnamed() const { return size_ == kUnixHeaderBytes; }

bool Address::abstract() const {
  return family() == AF_UNIX && !unnamed() && As<sockaddr_un>().sun_path[0] == '\0';
}

absl::string_view Address::path() const {
  if (family() != AF_UNIX || unnamed()) return "";
  // One zero byte stands before an abstract name, or behind a path.
  return {As<sockaddr_un>().sun_path + (abstract() ? 1 : 0), size_ - kUnixHeaderBytes - 1};
}

bool Address::any_ip() const {
  if (family() == AF_INET) return As<sockaddr_in>().sin_addr.s_addr == htonl(INADDR_ANY);
  return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&As<sockaddr_in6>().sin6_addr);
}

Address Address::WithPort(uint16_t port) const {
  Address result = *this;
  auto* address = reinterpret_cast<struct sockaddr*>(&result.storage_);
  if (family() == AF_INET) reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
  return result;
}

const struct sockaddr* Address::sockaddr() const {
  return reinterpret_cast<const struct sockaddr*>(&storage_);
}

bool operator==(const Address& a, const Address& b) {
  return a.transport_ == b.transport_ && a.size_ == b.size_ &&
         std::memcmp(&a.storage_, &b.storage_, a.size_) == 0;
}

}  // namespace zdd
