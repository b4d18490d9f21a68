// A successor whose predecessor lies: it serves those whom it has let in, and leaves in order.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/process/lineage.h"
#include "tests/process/raw_peer.h"
#include "zdd/base/owned_fd.h"
#include "zdd/handoff/frames.h"
#include "zdd/net/address.h"
#include "zdd/net/socket.h"
#include "zdd/service/control_socket.h"
#include "zdd/service/runtime_dir.h"
#include "zdd/service/token.h"

namespace zdd {
namespace {

// What a client sends and gets, on a connection that waits.
class Client {
 public:
  explicit Client(const Address& address) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(connect(fd_.get(), address.sockaddr(), address.size()), 0);
  }
  void Send(const std::string& bytes) {
    EXPECT_EQ(send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
  }
  // Until `end` has come, the connection has ended, or nothing comes any more.
  std::string ReadTo(const std::string& end) {
    std::string text;
    char buffer[4096];
    pollfd polled = {fd_.get(), POLLIN, 0};
    while (!absl::EndsWith(text, end) && poll(&polled, 1, 20000) == 1) {
      const ssize_t size = recv(fd_.get(), buffer, sizeof(buffer), 0);
      if (size <= 0) break;
      text.append(buffer, size);
    }
    return text;
  }

 private:
  OwnedFd fd_;
};

// Owns the control socket and a listener, as a predecessor does, and accepts from neither by
// itself.
class FalsePredecessor {
 public:
  explicit FalsePredecessor(const Lineage& lineage) {
    const RuntimeDir dir = EnsureRuntimeDir(lineage.dir().File("run")).value();
    control_ = *JoinOrBindControl(dir, "test").value().bound;
    http_ = BindSocket(Address::Parse("tcp://127.0.0.1:0").value()).value().fd;
    sockaddr_storage name;
    socklen_t size = sizeof(name);
    getsockname(http_.get(), reinterpret_cast<sockaddr*>(&name), &size);
    address_ =
        Address::FromSockaddr(Transport::kTcp, reinterpret_cast<sockaddr*>(&name), size).value();
  }

  const Address& address() const { return address_; }

  // Who comes to the control socket is sent away.
  void SendAway() {
    pollfd polled = {control_.fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, 20000), 1) << "nobody came";
    OwnedFd(accept4(control_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)).Reset();
  }

  // Who comes to the control socket gets the welcome and all listeners. The token is kept: nobody
  // can take over.
  std::unique_ptr<RawPeer> Welcome() {
    pollfd polled = {control_.fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, 20000), 1) << "nobody came";
    auto peer = std::make_unique<RawPeer>(
        OwnedFd(accept4(control_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    peer->Await<HelloFrame>();
    Token token = Token::Create().value();
    EXPECT_TRUE(token.Take());
    WelcomeFrame welcome;
    welcome.generation = 2;
    welcome.pid = getpid();
    welcome.version = "false";
    welcome.predecessor = 1;
    welcome.listener_count = 1;
    welcome.socket_count = 2;
    welcome.silence = welcome.drain_timeout = welcome.ready_timeout = absl::Seconds(20);
    peer->Send(welcome, {token.fd()});
    peer->Send(Offer(), {control_.fd.get(), http_.get()});
    return peer;
  }

 private:
  OfferFrame Offer() const {
    OfferedSocket control;
    control.listener = std::string(kControlName);
    control.asked = control.bound = Address().ToString();
    control.file = FileIdentity{control_.file.device, control_.file.inode};
    OfferedSocket http;
    http.listener = "http";
    http.asked = http.bound = address_.ToString();
    return OfferFrame{{control, http}, /*last=*/true};
  }

  ControlSocket control_;
  OwnedFd http_;
  Address address_;
};

TEST(FalsePredecessorTest, WhoIsSentAwayAtOnceIsToldToTryAgain) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  FalsePredecessor predecessor(lineage);
  lineage.Script({"version v2"});
  const pid_t successor = lineage.Start();
  predecessor.SendAway();
  const std::string why = lineage.Await("test.failed", successor).message;
  EXPECT_TRUE(absl::StrContains(why, "crowded with silent visitors")) << why;
}

// A successor that is prepared helps a predecessor of whom it hears nothing. One that then takes
// everything back, without ever having said `accept`, finds it with clients in hand: whoever is
// told that the start has failed exits, so he is told when they have been served.
TEST(FalsePredecessorTest, AHelperThatIsSentAwayFinishesWhatItHasAccepted) {
  Lineage lineage({});
  FalsePredecessor predecessor(lineage);
  lineage.Script({"version v2", absl::StrCat("listen http ", predecessor.address().ToString()),
                  "silence_ms 20000"});
  const pid_t successor = lineage.Start();
  std::unique_ptr<RawPeer> peer = predecessor.Welcome();
  EXPECT_EQ(peer->Await<PreparedFrame>().claims, std::vector<std::string>{"http"});

  // Nothing is said for long: by whom is a client answered?
  Client client(predecessor.address());
  client.Send("GET / HTTP/1.1\r\nHost: zdd\r\n\r\n");
  EXPECT_TRUE(absl::StrContains(client.ReadTo("hello\n"), "X-Version: v2\r\n"));
  client.Send("GET /slow?ms=500 HTTP/1.1\r\n");  // longer than an exit takes
  peer->Send(AbortFrame{"taken back"});
  lineage.Await("phase.leaving", successor);
  client.Send("Host: zdd\r\n\r\n");
  const std::string answer = client.ReadTo("no such end");
  EXPECT_TRUE(absl::StrContains(answer, "Connection: close\r\n")) << answer << lineage.History();
  EXPECT_TRUE(absl::EndsWith(answer, "hello\n")) << answer << lineage.History();

  const std::string why = lineage.Await("test.failed", successor).message;
  EXPECT_TRUE(absl::StrContains(why, "taken back")) << why;
  EXPECT_EQ(lineage.AwaitExit(successor), 1);
}

}  // namespace
}  // namespace zdd
