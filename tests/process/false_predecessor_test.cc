// A successor whose predecessor lies: it serves those whom it has let in, leaves in order, and
// takes what is honestly moved to it.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/process/lineage.h"
#include "tests/process/raw_peer.h"
#include "zdd/base/owned_fd.h"
#include "zdd/handoff/frames.h"
#include "zdd/migration/batch.h"
#include "zdd/net/address.h"
#include "zdd/net/fd_channel.h"
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
    EXPECT_EQ(connect(fd_.get(), address.sockaddr(), address.size()), 0) << address.ToString();
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
  // A client of the service that was let in here.
  OwnedFd Accept() { return OwnedFd(accept4(http_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  // Who comes to the control socket is sent away.
  void SendAway() {
    pollfd polled = {control_.fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, 20000), 1) << "nobody came";
    OwnedFd(accept4(control_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)).Reset();
  }

  // Who comes to the control socket gets the welcome and all listeners; but nobody can take over
  // unless he finds the token.
  enum class TokenIs { kThere, kTaken };
  std::unique_ptr<RawPeer> Welcome(TokenIs token_is) {
    pollfd polled = {control_.fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, 20000), 1) << "nobody came";
    auto peer = std::make_unique<RawPeer>(
        OwnedFd(accept4(control_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    peer->Await<HelloFrame>();
    Token token = Token::Create().value();
    if (token_is == TokenIs::kTaken) {
      EXPECT_TRUE(token.Take());
    }
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
  std::unique_ptr<RawPeer> peer = predecessor.Welcome(FalsePredecessor::TokenIs::kTaken);
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

// A successor that has taken over, to which a connection can be moved.
class MovingPredecessorTest : public ::testing::Test {
 protected:
  MovingPredecessorTest() {
    lineage_.Script({"version v2", absl::StrCat("listen http ", predecessor_.address().ToString()),
                     "format test/1", "silence_ms 20000"});
    successor_ = lineage_.Start();
    peer_ = predecessor_.Welcome(FalsePredecessor::TokenIs::kThere);
    peer_->Await<PreparedFrame>();
    // The successor does not accept yet.
    client_ = std::make_unique<Client>(predecessor_.address());
    connection_ = predecessor_.Accept();
    peer_->Send(AcceptFrame{});
    peer_->Await<AcceptingFrame>();
    peer_->Send(ReleaseFrame{});
    peer_->Await<ServingFrame>();
    peer_->Send(DrainingFrame{});
  }

  // One end of a pair whose other end the successor gets.
  FdChannel SendPair() {
    FdChannel::Ends ends = FdChannel::Pair().value();
    peer_->Send(PairFrame{}, {ends.theirs.fd()});
    return std::move(ends.ours);
  }

  static Received Next(FdChannel* pair) {
    pollfd polled = {pair->fd(), POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, 20000), 1) << "nothing came";
    return pair->Receive();
  }

  // With connection_.
  static BatchFrame Batch() {
    return {1, {MakeBatchItem("http", "test/1", absl::ZeroDuration(), "")}};
  }

  void ExpectToMove(FdChannel* pair) {
    EXPECT_EQ(pair->Send(Encode(Batch()), {connection_.get()}).kind, SendResult::kSent);
    const Received answer = Next(pair);
    ASSERT_EQ(answer.kind, Received::kFrame) << lineage_.History();
    const absl::StatusOr<MigrationFrame> ack = DecodeMigration(answer.bytes, 0);
    ASSERT_TRUE(ack.ok()) << ack.status();
    ASSERT_TRUE(std::holds_alternative<AckFrame>(*ack)) << answer.bytes;
    EXPECT_EQ(std::get<AckFrame>(*ack).taken, 1) << answer.bytes;
    connection_.Reset();
    client_->Send("GET / HTTP/1.1\r\nHost: zdd\r\n\r\n");
    EXPECT_TRUE(absl::StrContains(client_->ReadTo("hello\n"), "X-Version: v2\r\n"));
  }

  Lineage lineage_{{}};
  FalsePredecessor predecessor_{lineage_};
  pid_t successor_ = 0;
  std::unique_ptr<RawPeer> peer_;
  std::unique_ptr<Client> client_;
  OwnedFd connection_;
};

// Garbage is no proof of death: what it sends on its pair is still its own until it is answered.
TEST_F(MovingPredecessorTest, OneThatSpeaksGarbageMayStillMoveItsConnections) {
  FdChannel pair = SendPair();
  peer_->SendBytes("garbage");
  lineage_.Await("elder.gone", successor_);
  ExpectToMove(&pair);
}

// It has taken back what it sent, which only the dead cannot.
TEST_F(MovingPredecessorTest, OneThatSpeaksGarbageIsNotDeadAndKeepsWhatItTakesBack) {
  FdChannel pair = SendPair();
  peer_->SendBytes("garbage");
  lineage_.Await("elder.gone", successor_);
  ASSERT_EQ(shutdown(pair.fd(), SHUT_RD), 0);  // no acknowledgement can be sent any more
  EXPECT_EQ(pair.Send(Encode(Batch()), {connection_.get()}).kind, SendResult::kSent);
  const std::string told = lineage_.Await("migration.received", successor_).message;
  EXPECT_TRUE(absl::StartsWith(told, "0 connections")) << told;
  client_->Send("GET / HTTP/1.1\r\n\r\n");
  char buffer[64];
  EXPECT_EQ(recv(connection_.get(), buffer, sizeof(buffer), 0), 18) << "somebody else has read it";
}

TEST_F(MovingPredecessorTest, OneThatSendsPairsWithoutEndKeepsTheFirst) {
  FdChannel first = SendPair();
  FdChannel second = SendPair();
  FdChannel third = SendPair();
  for (int i = 0; i < 40; ++i) {
    FdChannel further = SendPair();
    EXPECT_EQ(Next(&further).kind, Received::kEndOfFile) << "pair " << i;
  }
  const std::string told = lineage_.Await("migration.garbage", successor_).message;
  EXPECT_TRUE(absl::StrContains(told, "more than 3 pairs")) << told;
  ExpectToMove(&first);
}

}  // namespace
}  // namespace zdd
