#include "zdd/net/socket_facts.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/forked_child.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address At(absl::string_view text) { return *Address::Parse(text); }

class SocketFactsTest : public ::testing::Test {
 protected:
  // A socket bound by BindSocket, and what Examine says of it.
  SocketFacts FactsOf(absl::string_view text, const SocketOptions& options = {}) {
    absl::StatusOr<BoundSocket> bound = BindSocket(At(text), options);
    EXPECT_OK(bound);
    if (!bound.ok()) return {};
    fd_ = std::move(bound->fd);
    return FactsOfFd();
  }

  SocketFacts FactsOfFd() {
    absl::StatusOr<SocketFacts> facts = Examine(fd_.get());
    EXPECT_OK(facts);
    return facts.value_or(SocketFacts());
  }

  FdAudit audit_;
  TempDir dir_;
  OwnedFd fd_;
};

TEST_F(SocketFactsTest, ATcpListenerTellsAllAboutItself) {
  SocketOptions options;
  options.backlog = 17;
  options.device = "lo";
  options.reuse_port = true;
  SocketFacts facts = FactsOf("tcp://127.0.0.1:0", options);
  EXPECT_EQ(facts.family, AF_INET);
  EXPECT_EQ(facts.type, SOCK_STREAM);
  EXPECT_EQ(facts.protocol, IPPROTO_TCP);
  EXPECT_EQ(facts.address.WithPort(0), At("tcp://127.0.0.1:0"));
  EXPECT_NE(facts.address.port(), 0);
  EXPECT_TRUE(facts.listening);
  EXPECT_FALSE(facts.connected);
  EXPECT_TRUE(facts.reuse_port);
  EXPECT_TRUE(facts.nonblocking);
  EXPECT_EQ(facts.device, "lo");
  EXPECT_EQ(facts.backlog, 17);
  EXPECT_GE(facts.backlog_max.value_or(0), 128);
  EXPECT_NE(facts.cookie, 0u);
}

TEST_F(SocketFactsTest, TheCookieNamesTheSocketWhicheverDescriptorIsAsked) {
  SocketFacts facts = FactsOf("tcp://127.0.0.1:0");
  OwnedFd duplicate = Duplicate(fd_.get());
  EXPECT_EQ(Examine(duplicate.get())->cookie, facts.cookie);
  EXPECT_EQ(Examine(duplicate.get())->netns_cookie, facts.netns_cookie);
  SocketFacts other = FactsOf("tcp://127.0.0.1:0");
  EXPECT_NE(other.cookie, facts.cookie);
  EXPECT_EQ(other.netns_cookie, facts.netns_cookie);
}

TEST_F(SocketFactsTest, AnIpv6ListenerTellsWhetherItTakesIpv4) {
  EXPECT_FALSE(FactsOf("tcp://[::]:0").v6only);
  SocketOptions options;
  options.dual_stack = false;
  EXPECT_TRUE(FactsOf("tcp://[::]:0", options).v6only);
}

TEST_F(SocketFactsTest, AUdpSocketDoesNotListen) {
  SocketFacts facts = FactsOf("udp://[::1]:0");
  EXPECT_EQ(facts.address.transport(), Transport::kUdp);
  EXPECT_FALSE(facts.listening);
  EXPECT_EQ(facts.backlog, absl::nullopt);
}

TEST_F(SocketFactsTest, AUnixListenerTellsItsPathAndMode) {
  SocketOptions options;
  options.unix_mode = 0640;
  SocketFacts facts = FactsOf("unix://" + dir_.File("x"), options);
  EXPECT_EQ(facts.family, AF_UNIX);
  EXPECT_TRUE(facts.listening);
  EXPECT_EQ(facts.address.path(), dir_.File("x"));
  EXPECT_EQ(facts.unix_mode, 0640);
  EXPECT_NE(facts.cookie, 0u);
  unlink(dir_.File("x").c_str());
  EXPECT_EQ(FactsOfFd().unix_mode, absl::nullopt);
}

TEST_F(SocketFactsTest, AListenerThatWasShutDownDoesNotListen) {
  FactsOf("tcp://127.0.0.1:0");
  shutdown(fd_.get(), SHUT_RD);
  EXPECT_FALSE(FactsOfFd().listening);
  EXPECT_FALSE(FactsOfFd().shut_down);  // it can listen again
  FactsOf("unix:@zdd-facts");
  shutdown(fd_.get(), SHUT_RD);
  EXPECT_FALSE(FactsOfFd().listening);
  EXPECT_TRUE(FactsOfFd().shut_down);
}

TEST_F(SocketFactsTest, WhatIsNoSocketOrOfAnotherFamilyIsRefused) {
  EXPECT_STATUS(Examine(0), kFailedPrecondition, "examine fd 0: getsockopt SO_DOMAIN");
  EXPECT_FALSE(Examine(-1).ok());
  fd_ = OwnedFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
  ASSERT_TRUE(fd_.valid());
  EXPECT_STATUS(Examine(fd_.get()), kInvalidArgument, "family 16");
}

TEST_F(SocketFactsTest, AKernelWithoutNetnsCookiesIsNoError) {
  FactsOf("tcp://127.0.0.1:0");
  for (int n = 1;; ++n) {
    FaultySyscalls faulty({.kind = Syscall::kGetSockOpt, .nth = n, .error = ENOPROTOOPT});
    absl::StatusOr<SocketFacts> facts = Examine(fd_.get(), faulty);
    if (!faulty.fired()) {
      EXPECT_TRUE(facts->netns_cookie.has_value());
      break;
    }
    // The basic facts are needed; device and cookies may be missing.
    EXPECT_EQ(facts.ok(), n > 5) << n;
  }
}

// Reconcile is pure: facts are made up, and one thing is changed at a time.

SocketFacts TcpFacts() {
  SocketFacts facts;
  facts.family = AF_INET6;
  facts.type = SOCK_STREAM;
  facts.protocol = IPPROTO_TCP;
  facts.address = At("tcp://[::]:8080");
  facts.listening = true;
  facts.nonblocking = true;
  facts.backlog = 4096;
  facts.backlog_max = 4096;
  return facts;
}

SocketFacts UnixFacts() {
  SocketFacts facts;
  facts.family = AF_UNIX;
  facts.type = SOCK_STREAM;
  facts.address = At("unix:///run/x");
  facts.listening = true;
  facts.nonblocking = true;
  facts.unix_mode = 0755;
  return facts;
}

void ExpectKept(const Reconciliation& verdict) {
  EXPECT_EQ(verdict.decision, Reconciliation::kKeep);
  EXPECT_THAT(verdict.notes, IsEmpty());
}

void ExpectKept(const Reconciliation& verdict, const std::string& note) {
  EXPECT_EQ(verdict.decision, Reconciliation::kKeep);
  EXPECT_THAT(verdict.notes, ElementsAre(note));
}

void ExpectRebound(const Reconciliation& verdict, const std::string& reason) {
  EXPECT_EQ(verdict.decision, Reconciliation::kRebind);
  EXPECT_THAT(verdict.notes, ElementsAre(reason));
}

TEST(ReconcileTest, TheSameIsKeptWithoutANote) {
  ExpectKept(Reconcile(TcpFacts(), At("tcp://[::]:8080"), {}));
  ExpectKept(Reconcile(UnixFacts(), At("unix:///run/x"), {}));
}

TEST(ReconcileTest, PortZeroKeepsTheRealPortOverGenerations) {
  ExpectKept(Reconcile(TcpFacts(), At("tcp://[::]:0"), {}));
  ExpectRebound(Reconcile(TcpFacts(), At("tcp://[::1]:0"), {}),
                "address tcp://[::]:8080, asked tcp://[::1]:0");
}

TEST(ReconcileTest, AnotherAddressIsBoundAnew) {
  ExpectRebound(Reconcile(TcpFacts(), At("tcp://[::]:8081"), {}),
                "address tcp://[::]:8080, asked tcp://[::]:8081");
  ExpectRebound(Reconcile(TcpFacts(), At("tcp://0.0.0.0:8080"), {}),
                "address tcp://[::]:8080, asked tcp://0.0.0.0:8080");
  ExpectRebound(Reconcile(UnixFacts(), At("unix:///run/y"), {}),
                "address unix:///run/x, asked unix:///run/y");
  ExpectRebound(Reconcile(UnixFacts(), At("tcp://[::]:80"), {}),
                "address unix:///run/x, asked tcp://[::]:80");
}

TEST(ReconcileTest, AnotherTypeOrProtocolIsBoundAnew) {
  Reconciliation verdict = Reconcile(TcpFacts(), At("udp://[::]:8080"), {});
  EXPECT_EQ(verdict.decision, Reconciliation::kRebind);
  EXPECT_THAT(verdict.notes, ElementsAre("type stream, asked datagram",
                                         "address tcp://[::]:8080, asked udp://[::]:8080"));
  SocketFacts sctp = TcpFacts();
  sctp.protocol = IPPROTO_SCTP;
  ExpectRebound(Reconcile(sctp, At("tcp://[::]:8080"), {}), "protocol 132, asked 6");
  SocketFacts multipath = TcpFacts();
  multipath.protocol = 262;
  ExpectKept(Reconcile(multipath, At("tcp://[::]:8080"), {}));
  SocketFacts seqpacket = UnixFacts();
  seqpacket.type = SOCK_SEQPACKET;
  ExpectRebound(Reconcile(seqpacket, At("unix:///run/x"), {}), "type seqpacket, asked stream");
}

TEST(ReconcileTest, DualStackMattersForTheWildcardAlone) {
  SocketOptions v6only;
  v6only.dual_stack = false;
  SocketFacts facts = TcpFacts();
  ExpectRebound(Reconcile(facts, At("tcp://[::]:8080"), v6only), "takes IPv4 too, asked IPv6 only");
  facts.v6only = true;
  ExpectRebound(Reconcile(facts, At("tcp://[::]:8080"), {}), "takes IPv6 only, asked IPv4 too");
  facts.address = At("tcp://[::1]:8080");
  ExpectKept(Reconcile(facts, At("tcp://[::1]:8080"), {}));
}

TEST(ReconcileTest, AnotherDeviceIsBoundAnew) {
  SocketOptions options;
  options.device = "eth0";
  ExpectRebound(Reconcile(TcpFacts(), At("tcp://[::]:8080"), options),
                "device \"\", asked \"eth0\"");
  SocketFacts facts = TcpFacts();
  facts.device = "eth0";
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), options));
  ExpectRebound(Reconcile(facts, At("tcp://[::]:8080"), {}), "device \"eth0\", asked \"\"");
}

TEST(ReconcileTest, WhatCannotListenIsBoundAnew) {
  SocketFacts connection = TcpFacts();
  connection.connected = true;
  ExpectRebound(Reconcile(connection, At("tcp://[::]:8080"), {}), "is a connection");
  SocketFacts dead = UnixFacts();
  dead.shut_down = true;
  ExpectRebound(Reconcile(dead, At("unix:///run/x"), {}), "somebody called shutdown() on it");
}

TEST(ReconcileTest, ABacklogIsComparedUpToTheKernelsLimit) {
  SocketFacts facts = TcpFacts();
  facts.backlog = 128;
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), {}), "backlog 128 -> 4096");
  facts.backlog_max = 128;
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), {}));
  facts.backlog_max = absl::nullopt;
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), {}), "backlog 128 -> 4096");
  facts.backlog = absl::nullopt;
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), {}));
}

TEST(ReconcileTest, WhatCanBeChangedIsKeptWithANote) {
  SocketFacts facts = TcpFacts();
  facts.nonblocking = false;
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), {}), "blocking -> non-blocking");
  facts = TcpFacts();
  facts.listening = false;
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), {}), "not listening -> listening");
  SocketOptions options;
  options.reuse_port = true;
  ExpectKept(Reconcile(TcpFacts(), At("tcp://[::]:8080"), options), "SO_REUSEPORT off -> on");
  options = SocketOptions();
  options.unix_mode = 0660;
  ExpectKept(Reconcile(UnixFacts(), At("unix:///run/x"), options), "mode 0755 -> 0660");
}

TEST(ReconcileTest, ALaneKeepsItsReusePort) {
  SocketFacts facts = TcpFacts();
  facts.reuse_port = true;
  ExpectKept(Reconcile(facts, At("tcp://[::]:8080"), {}));
}

TEST_F(SocketFactsTest, AnAdoptedSocketIsWhatWasAsked) {
  // As systemd hands it over: blocking, with a backlog of its own.
  fd_ = OwnedFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any_port = At("tcp://127.0.0.1:0");
  ASSERT_EQ(bind(fd_.get(), any_port.sockaddr(), any_port.size()), 0);
  ASSERT_EQ(listen(fd_.get(), 5), 0);
  SocketOptions options;
  options.backlog = 20;
  options.reuse_port = true;
  int hooked = -1;
  options.hook = [&](int fd) {
    hooked = fd;
    return absl::OkStatus();
  };
  SocketFacts facts = FactsOfFd();
  EXPECT_THAT(Reconcile(facts, any_port, options).notes,
              ElementsAre("backlog 5 -> 20", "blocking -> non-blocking", "SO_REUSEPORT off -> on"));

  EXPECT_OK(AdoptSocket(fd_.get(), facts, options));
  EXPECT_EQ(hooked, fd_.get());
  ExpectKept(Reconcile(FactsOfFd(), any_port, options));
  EXPECT_EQ(FactsOfFd().address, facts.address);
}

TEST_F(SocketFactsTest, AnAdoptedPathHasTheModeThatWasAsked) {
  const std::string text = "unix://" + dir_.File("x");
  SocketFacts facts = FactsOf(text);
  SocketOptions options;
  options.unix_mode = 0606;
  EXPECT_OK(AdoptSocket(fd_.get(), facts, options));
  EXPECT_EQ(FactsOfFd().unix_mode, 0606);
}

TEST_F(SocketFactsTest, AnAdoptedUdpSocketDoesNotListen) {
  SocketFacts facts = FactsOf("udp://127.0.0.1:0");
  EXPECT_OK(AdoptSocket(fd_.get(), facts, {}));
}

// The pid that a client of `address` sees at the other end: that of whoever called listen() last.
pid_t PeerOfAClient(const Address& address) {
  OwnedFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (connect(client.get(), address.sockaddr(), address.size()) != 0) return -1;
  getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer.pid;
}

TEST_F(SocketFactsTest, TheAdopterOfAUnixListenerIsWhomItsClientsSee) {
  SocketFacts facts = FactsOf("unix:@zdd-facts");
  ForkedChild predecessor([&] { return listen(fd_.get(), 5); });
  const pid_t pid = predecessor.pid();
  ASSERT_EQ(predecessor.Wait(), 0);
  EXPECT_EQ(PeerOfAClient(facts.address), pid);  // dead by now
  EXPECT_OK(AdoptSocket(fd_.get(), facts, {}));
  EXPECT_EQ(PeerOfAClient(facts.address), getpid());
}

TEST_F(SocketFactsTest, AHookThatFailsFailsTheAdoption) {
  SocketFacts facts = FactsOf("tcp://127.0.0.1:0");
  SocketOptions options;
  options.hook = [](int) { return absl::UnimplementedError("no TFO here"); };
  EXPECT_STATUS(AdoptSocket(fd_.get(), facts, options), kUnimplemented,
                "adopt " + facts.address.ToString() + ": socket hook: no TFO here");
}

TEST_F(SocketFactsTest, EachFailureOfAnAdoptionIsTold) {
  SocketFacts facts = FactsOf("tcp://127.0.0.1:0");
  SocketOptions options;
  options.reuse_port = true;
  for (int n = 1;; ++n) {
    FaultySyscalls faulty({.nth = n, .error = ENOBUFS});
    absl::Status status = AdoptSocket(fd_.get(), facts, options, faulty);
    if (!faulty.fired()) {
      EXPECT_OK(status);
      EXPECT_EQ(n, 3);
      break;
    }
    EXPECT_STATUS(status, kResourceExhausted, "ENOBUFS");
  }
}

}  // namespace
}  // namespace zdd
