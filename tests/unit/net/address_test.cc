#include "zdd/net/address.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

std::string Canonical(absl::string_view text) {
  absl::StatusOr<Address> address = Address::Parse(text);
  return address.ok() ? address->ToString() : address.status().ToString();
}

TEST(AddressTest, EachFormIsItsOwnText) {
  for (const char* text : {
           "tcp://0.0.0.0:80",
           "tcp://127.0.0.1:0",
           "tcp://255.255.255.255:65535",
           "tcp://[::]:8080",
           "tcp://[::1]:0",
           "tcp://[2001:db8::1]:443",
           "tcp://[::ffff:192.0.2.1]:443",
           "tcp://[fe80::1%lo]:80",
           "udp://192.0.2.1:443",
           "udp://[ff02::fb%lo]:5353",
           "unix:///run/x.sock",
           "unix:relative/x.sock",
           "unix:@abstract-name",
           "unix:x",
           "unix:a@b",
           "unix:/"
           "//double",
       }) {
    EXPECT_EQ(Canonical(text), text);
  }
}

TEST(AddressTest, WhatMeansTheSameIsWrittenTheSame) {
  EXPECT_EQ(Canonical("tcp://127.0.0.1:00080"), "tcp://127.0.0.1:80");
  EXPECT_EQ(Canonical("tcp://[0:0::0:1]:80"), "tcp://[::1]:80");
  EXPECT_EQ(Canonical("tcp://[2001:DB8::A]:80"), "tcp://[2001:db8::a]:80");
  EXPECT_EQ(Canonical("tcp://[fe80::1%1]:80"), "tcp://[fe80::1%lo]:80");
  EXPECT_EQ(Canonical("unix:/run/x.sock"), "unix:///run/x.sock");
  EXPECT_EQ(Canonical("unix:///run/%78.sock"), "unix:///run/x.sock");
  EXPECT_EQ(Canonical("unix:///a b"), "unix:///a%20b");
  EXPECT_EQ(Canonical("unix:@a%00b"), "unix:@a%00b");
}

TEST(AddressTest, TheTransportTheIpAndThePortCanBeAsked) {
  ASSERT_OK_AND_MOVE(Address tcp, Address::Parse("tcp://[::1]:8080"));
  EXPECT_EQ(tcp.transport(), Transport::kTcp);
  EXPECT_EQ(tcp.family(), AF_INET6);
  EXPECT_EQ(tcp.port(), 8080);
  EXPECT_FALSE(tcp.any_ip());
  EXPECT_EQ(tcp.path(), "");
  ASSERT_OK_AND_MOVE(Address udp, Address::Parse("udp://0.0.0.0:53"));
  EXPECT_EQ(udp.transport(), Transport::kUdp);
  EXPECT_EQ(udp.family(), AF_INET);
  EXPECT_EQ(udp.port(), 53);
  EXPECT_TRUE(udp.any_ip());
  EXPECT_TRUE(Address::Parse("tcp://[::]:1")->any_ip());
}

TEST(AddressTest, APathIsKeptByteForByte) {
  ASSERT_OK_AND_MOVE(Address path, Address::Parse("unix:///run/%C3%A9%20%25%FF"));
  EXPECT_EQ(path.transport(), Transport::kUnix);
  EXPECT_EQ(path.path(), "/run/\xc3\xa9 %\xff");
  EXPECT_FALSE(path.abstract());
  EXPECT_EQ(path.port(), 0);
  EXPECT_EQ(path.ToString(), "unix:///run/%C3%A9%20%25%FF");
}

TEST(AddressTest, AnAbstractNameMayHoldZeroBytes) {
  ASSERT_OK_AND_MOVE(Address name, Address::Parse("unix:@a%00b"));
  EXPECT_TRUE(name.abstract());
  EXPECT_EQ(name.path(), std::string("a\0b", 3));
}

TEST(AddressTest, ARelativePathThatBeginsWithAnAtSignIsNoAbstractName) {
  ASSERT_OK_AND_MOVE(Address path, Address::Parse("unix:%40x"));
  EXPECT_FALSE(path.abstract());
  EXPECT_EQ(path.path(), "@x");
  EXPECT_EQ(path.ToString(), "unix:%40x");
  EXPECT_NE(path, *Address::Parse("unix:@x"));
}

TEST(AddressTest, TheLongestPathFits) {
  const std::string path = "/" + std::string(Address::kUnixPathBytesMax - 1, 'x');
  ASSERT_OK_AND_MOVE(Address address, Address::Parse("unix://" + path));
  EXPECT_EQ(address.path(), path);
  const std::string name(Address::kUnixPathBytesMax, 'x');
  ASSERT_OK_AND_MOVE(Address abstract, Address::Parse("unix:@" + name));
  EXPECT_EQ(abstract.path(), name);
  EXPECT_EQ(abstract.size(), sizeof(sockaddr_un));
}

struct WrongCase {
  std::string text;
  const char* reason;
};

TEST(AddressTest, AWrongTextIsNamedWithTheReasonAndWhatWouldBeRight) {
  const WrongCase cases[] = {
      {"", "no scheme; write it as in tcp://0.0.0.0:80"},
      {"8080", "no scheme"},
      {":8080", "no scheme"},
      {"0.0.0.0:80", "no scheme"},
      {"/run/x.sock", "no scheme"},
      {"TCP://0.0.0.0:80", "unknown scheme; there are tcp, udp and unix"},
      {"http://0.0.0.0:80", "unknown scheme"},
      {"tcp://", "no port"},
      {"tcp://0.0.0.0", "no port"},
      {"tcp://[::1]", "no port"},
      {"tcp://[::1]80", "no port"},
      {"tcp://0.0.0.0:", "the port is \"\"; write a number from 0 to 65535"},
      {"tcp://0.0.0.0:http", "the port is \"http\""},
      {"tcp://0.0.0.0:-1", "the port is \"-1\""},
      {"tcp://0.0.0.0:+1", "the port is \"+1\""},
      {"tcp://0.0.0.0: 1", "the port is \" 1\""},
      {"tcp://0.0.0.0:80/", "the port is \"80/\""},
      {"tcp://0.0.0.0:65536", "port 65536 is out of range (0 to 65535)"},
      {"tcp://0.0.0.0:99999999999999999999", "out of range"},
      {"tcp://[::1:80", "the bracket is not closed"},
      {"tcp://::1:80", "an IPv6 address goes in brackets"},
      {"tcp://:80", "for all interfaces write 0.0.0.0 or [::]"},
      {"tcp://*:80", "for all interfaces write 0.0.0.0 or [::]"},
      {"tcp://localhost:80", "a name; write 127.0.0.1 or [::1]"},
      {"tcp://example.com:80", "names are not resolved"},
      {"tcp://1.2.3:80", "not a literal IP"},
      {"tcp://1.2.3.256:80", "not a literal IP"},
      {"tcp://01.2.3.4:80", "not a literal IP"},
      {std::string("tcp://1.2.3.4\0:80", 17), "not a literal IP"},
      {"tcp://[]:80", "a literal IPv6 address"},
      {"tcp://[1.2.3.4]:80", "a literal IPv6 address"},
      {"tcp://[::1]]:80", "a literal IPv6 address"},
      {"tcp://[fe80::1%nosuch]:80", "no interface \"nosuch\""},
      {"tcp://[fe80::1%]:80", "no interface \"\""},
      {"tcp://[fe80::1%0]:80", "no interface \"0\""},
      {"tcp://[::1%lo]:80", "only a link-local address"},
      {"unix:", "the path is empty"},
      {"unix:@", "the name is empty"},
      {"unix://run/x.sock", "no place for a host; write unix:///run/x.sock"},
      {"unix://@x", "no place for a host"},
      {"unix:///a%00b", "cannot hold a zero byte"},
      {"unix:///a%", "% needs two hexadecimal digits"},
      {"unix:///a%4", "% needs two hexadecimal digits"},
      {"unix:///a%zz", "% needs two hexadecimal digits"},
      {"unix:///a?mode=600", "write %3F or %23"},
      {"unix:///a#b", "write %3F or %23"},
      {"unix:///" + std::string(107, 'x'), "the path is too long (108 bytes, at most 107)"},
      {"unix:@" + std::string(108, 'x'), "too long (108 bytes, at most 107)"},
  };
  for (const WrongCase& c : cases) {
    absl::StatusOr<Address> address = Address::Parse(c.text);
    EXPECT_STATUS(address, kInvalidArgument, c.reason);
    if (c.text.size() < 100 && c.text.find('\0') == std::string::npos) {
      EXPECT_STATUS(address, kInvalidArgument, absl::StrCat("address \"", c.text, "\": "));
    }
  }
}

TEST(AddressTest, AnErrorShowsHostileTextEscapedAndShortened) {
  EXPECT_STATUS(Address::Parse("\x1b[31m"), kInvalidArgument, "\"\\x1b[31m\"");
  const std::string message(Address::Parse(std::string(100000, 'x')).status().message());
  EXPECT_LT(message.size(), 400u);
}

TEST(AddressTest, AddressesAreEqualWhenTheyMeanTheSame) {
  EXPECT_EQ(*Address::Parse("tcp://[::1]:80"), *Address::Parse("tcp://[0::1]:80"));
  const char* different[] = {"tcp://127.0.0.1:80",
                             "tcp://127.0.0.1:81",
                             "tcp://127.0.0.2:80",
                             "udp://127.0.0.1:80",
                             "tcp://[::1]:80",
                             "tcp://[fe80::1]:80",
                             "unix:x",
                             "unix:@x",
                             "tcp://[fe80::1%1]:80",
                             "unix:xy",
                             "unix:///x"};
  for (const char* a : different) {
    for (const char* b : different) {
      EXPECT_EQ(*Address::Parse(a) == *Address::Parse(b), a == b) << a << " " << b;
    }
  }
}

TEST(AddressTest, OnlyThePortChangesWithAnotherPort) {
  EXPECT_EQ(Address::Parse("tcp://1.2.3.4:5")->WithPort(6).ToString(), "tcp://1.2.3.4:6");
  EXPECT_EQ(Address::Parse("udp://[fe80::1%lo]:5")->WithPort(0).ToString(), "udp://[fe80::1%lo]:0");
  EXPECT_EQ(Address::Parse("unix:x")->WithPort(6).ToString(), "unix:x");
}

TEST(AddressTest, ADefaultAddressIsUnnamed) {
  Address address;
  EXPECT_TRUE(address.unnamed());
  EXPECT_FALSE(address.abstract());
  EXPECT_EQ(address.path(), "");
  EXPECT_EQ(address.ToString(), "unix:");
  EXPECT_EQ(address, Address());
}

// What the kernel answers for a socket bound to `text`.
absl::StatusOr<Address> BoundTo(absl::string_view text) {
  absl::StatusOr<Address> asked = Address::Parse(text);
  if (!asked.ok()) return asked.status();
  int type = asked->transport() == Transport::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  OwnedFd fd(socket(asked->family(), type | SOCK_CLOEXEC, 0));
  if (bind(fd.get(), asked->sockaddr(), asked->size()) != 0) return absl::InternalError("bind");
  sockaddr_storage bound;
  socklen_t size = sizeof bound;
  std::memset(&bound, 0xff, sizeof bound);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  return Address::FromSockaddr(asked->transport(), reinterpret_cast<sockaddr*>(&bound), size);
}

TEST(AddressTest, TheKernelAnswersWithTheAddressThatWasBound) {
  for (const char* text : {"tcp://127.0.0.1:8080", "tcp://[::1]:8080", "tcp://0.0.0.0:8080",
                           "tcp://[::]:8080", "udp://127.0.0.1:8080", "unix:@zdd%00address"}) {
    ASSERT_OK_AND_MOVE(Address bound, BoundTo(text));
    EXPECT_EQ(bound, *Address::Parse(text)) << bound.ToString();
  }
  ASSERT_OK_AND_MOVE(Address chosen, BoundTo("tcp://127.0.0.1:0"));
  EXPECT_GT(chosen.port(), 0);
}

TEST(AddressTest, TheKernelAnswersWithTheLongestPath) {
  // Bound in the temporary directory, whose own name would not fit.
  ASSERT_EQ(chdir(getenv("TEST_TMPDIR")), 0);
  for (size_t length : {1u, 106u, 107u}) {
    const std::string text = "unix:" + std::string(length, 'p');
    ASSERT_OK_AND_MOVE(Address bound, BoundTo(text));
    EXPECT_EQ(bound.ToString(), text);
    unlink(std::string(bound.path()).c_str());
  }
}

TEST(AddressTest, AClientThatBoundNoPathIsUnnamed) {
  OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage name;
  socklen_t size = sizeof name;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size);
  ASSERT_OK_AND_MOVE(
      Address address,
      Address::FromSockaddr(Transport::kUnix, reinterpret_cast<sockaddr*>(&name), size));
  EXPECT_TRUE(address.unnamed());
}

TEST(AddressTest, AnIpv6AddressForgetsWhatIsNoPartOfIt) {
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_addr = in6addr_loopback;
  raw.sin6_port = htons(80);
  raw.sin6_flowinfo = 7;
  raw.sin6_scope_id = 3;
  ASSERT_OK_AND_MOVE(
      Address address,
      Address::FromSockaddr(Transport::kTcp, reinterpret_cast<sockaddr*>(&raw), sizeof raw));
  EXPECT_EQ(address, *Address::Parse("tcp://[::1]:80"));
}

TEST(AddressTest, AnInterfaceWithoutANameKeepsItsNumber) {
  EXPECT_EQ(Canonical("tcp://[fe80::1%4294967295]:80"), "tcp://[fe80::1%4294967295]:80");
}

TEST(AddressTest, ForeignSocketAddressesAreRefused) {
  const auto from = [](Transport transport, const auto& raw, socklen_t size) {
    return Address::FromSockaddr(transport, reinterpret_cast<const sockaddr*>(&raw), size).status();
  };
  sockaddr_storage raw{};
  EXPECT_STATUS(from(Transport::kTcp, raw, 0), kInvalidArgument, "too short (0 bytes)");
  raw.ss_family = AF_NETLINK;
  EXPECT_STATUS(from(Transport::kTcp, raw, sizeof raw), kInvalidArgument, "family 16");
  raw.ss_family = AF_INET;
  EXPECT_STATUS(from(Transport::kTcp, raw, 8), kInvalidArgument, "family 2 of 8 bytes");
  EXPECT_STATUS(from(Transport::kUnix, raw, sizeof raw), kInvalidArgument, "does not go with unix");
  raw.ss_family = AF_INET6;
  EXPECT_STATUS(from(Transport::kTcp, raw, 16), kInvalidArgument, "family 10 of 16 bytes");
  raw.ss_family = AF_UNIX;
  EXPECT_STATUS(from(Transport::kTcp, raw, sizeof raw), kInvalidArgument, "does not go with tcp");
  EXPECT_STATUS(from(Transport::kUnix, raw, 3), kInvalidArgument, "empty abstract name");
  sockaddr_un full{};
  full.sun_family = AF_UNIX;
  std::memset(full.sun_path, 'x', sizeof full.sun_path);
  EXPECT_STATUS(from(Transport::kUnix, full, sizeof full), kInvalidArgument,
                "108 bytes, at most 107");
}

}  // namespace
}  // namespace zdd
