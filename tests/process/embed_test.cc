// An example server is replaced, fails to be, and is stopped, while clients hammer it: what the
// test server of this folder goes through, for a program that is a user's. The first argument names
// it.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/load/load_client.h"
#include "tests/process/embedded_server.h"
#include "tests/util/free_address.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

std::string* program;

const absl::Duration kLong = absl::Seconds(30);
constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: zdd\r\n\r\n";

// One connection, byte by byte.
class Client {
 public:
  explicit Client(const std::string& server) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Address address = Address::Parse(server).value();
    const timeval limit = {absl::ToInt64Seconds(kLong), 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(connect(fd_.get(), address.sockaddr(), address.size()), 0);
  }

  void Send(const std::string& bytes) {
    EXPECT_EQ(send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void EndSending() { EXPECT_EQ(shutdown(fd_.get(), SHUT_WR), 0); }

  // One answer, as its body ends with the first line end.
  std::string Answer() {
    std::string answer;
    for (size_t head; (head = answer.find("\r\n\r\n")) == std::string::npos ||
                      answer.find('\n', head + 4) == std::string::npos;) {
      if (!Read(&answer)) break;
    }
    return answer;
  }
  // All that comes until the end of file. A reset is a failure of the test.
  std::string Rest() {
    std::string rest;
    while (Read(&rest)) {
    }
    return rest;
  }

 private:
  bool Read(std::string* bytes) {
    char byte;
    const ssize_t size = recv(fd_.get(), &byte, 1, 0);
    EXPECT_GE(size, 0) << "recv: errno " << errno;
    if (size > 0) bytes->push_back(byte);
    return size > 0;
  }

  OwnedFd fd_;
};

bool SaysClose(const std::string& answer) {
  return absl::StrContains(absl::AsciiStrToLower(answer), "connection: close\r\n");
}

class EmbedTest : public ::testing::Test {
 protected:
  // Returns when `generation` has answered and owns the service: its pid.
  pid_t Replace(pid_t owner, int generation) {
    server_.Signal(owner, SIGUSR2);
    Await(generation, "accepting");
    const pid_t successor = server_.ChildOf(owner);
    AwaitAnswerOf(generation);
    Await(generation, "serving");
    return successor;
  }
  void ExpectAcceptsAlone(int generation) {
    const std::string version = absl::StrCat("X-Version: ", generation, "\r\n");
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(absl::StrContains(Get(), version)) << server_.log();
  }
  // While it accepts together with another one.
  void AwaitAnswerOf(int generation) {
    const std::string version = absl::StrCat("X-Version: ", generation, "\r\n");
    Until([&] { return absl::StrContains(Get(), version); });
  }
  void Await(int generation, const std::string& state) {
    server_.Await(absl::StrCat("generation ", generation, " is ", state));
  }
  pid_t StartFirst() {
    const pid_t pid = server_.Start();
    Await(1, "serving");
    return pid;
  }

  std::unique_ptr<LoadClient> Load(std::vector<LoadGroup> groups) {
    auto load =
        LoadClient::Start({.address = address_, .groups = std::move(groups), .timeout = kLong});
    EXPECT_TRUE(load.ok()) << load.status();
    EXPECT_TRUE((*load)->AwaitAllGroups(kLong));
    return *std::move(load);
  }
  std::unique_ptr<LoadClient> SomeOfEach() {
    return Load({{.kind = LoadKind::kNew, .connections = 8, .rate = 300},
                 {.kind = LoadKind::kKeepAlive, .connections = 8, .rate = 300},
                 {.kind = LoadKind::kKeepAlive, .connections = 10, .think = absl::Milliseconds(20)},
                 {.kind = LoadKind::kLate, .connections = 4, .delay = absl::Milliseconds(100)}});
  }

  void Until(absl::FunctionRef<bool()> condition) {
    const Instant deadline = MonotonicNow() + kLong;
    bool met;
    while (!(met = condition()) && MonotonicNow() < deadline) poll(nullptr, 0, 1);
    EXPECT_TRUE(met) << server_.log();
  }

  static int64_t Answers(const LoadClient& load, const std::string& version) {
    for (const LoadVersion& each : load.Peek().versions) {
      if (each.version == version) return each.answers;
    }
    return 0;
  }

  // zdd makes some of the eventfds when the first ones ask for them (Ticket::AskedFd).
  static std::map<std::string, int> FdsOf(pid_t pid) {
    std::map<std::string, int> fds = EmbeddedServer::FdsOf(pid);
    fds.erase("anon_inode:[eventfd]");
    return fds;
  }

  // What a new connection is answered.
  std::string Get() {
    Client client(address_);
    client.Send(kGet);
    return client.Answer();
  }

  const std::string address_ = FreeAddress().value();
  EmbeddedServer server_{*program, {address_, "1s"}};
};

TEST_F(EmbedTest, LosesNothingOverFiveGenerations) {
  pid_t owner = StartFirst();
  owner = Replace(owner, 2);
  Until([&] { return FdsOf(owner).count("anon_inode:[pidfd]") == 0; });  // alone
  const std::map<std::string, int> fds = FdsOf(owner);
  auto load = SomeOfEach();
  for (int i = 3; i <= 6; ++i) {
    load->Mark(absl::StrCat("generation ", i));
    const pid_t successor = Replace(owner, i);
    ExpectAcceptsAlone(i);
    EXPECT_TRUE(load->AwaitVersion(absl::StrCat(i), kLong));
    EXPECT_EQ(server_.AwaitExit(owner), 0) << server_.log();
    owner = successor;
  }
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << server_.log();
  EXPECT_GT(report.requests(), 500);
  // The last connections are closed while we look.
  Until([&] { return FdsOf(owner) == fds; });
  EXPECT_EQ(FdsOf(owner), fds);
  server_.Signal(owner, SIGTERM);
  EXPECT_EQ(server_.AwaitExit(owner), 0) << server_.log();
  server_.AwaitNobody();
}

TEST_F(EmbedTest, ServesOnWhenItsSuccessorFails) {
  const pid_t first = StartFirst();
  auto load = SomeOfEach();
  // Before it is ready.
  server_.Install("/bin/false");
  server_.Signal(first, SIGUSR2);
  server_.Await("keeps serving");
  Await(1, "serving");
  // Its number is not given again. In standby: a stop of the successor is its wish to be rolled
  // back.
  server_.Install(*program);
  server_.Signal(first, SIGUSR2);
  Await(1, "standby");
  const pid_t second = server_.ChildOf(first);
  Until([&] { return Answers(*load, "3") > 100; });
  server_.Signal(second, SIGTERM);
  server_.Await("keeps serving");
  Await(3, "failed");
  Await(1, "serving");
  EXPECT_TRUE(absl::StrContains(Get(), "X-Version: 1\r\n")) << server_.log();
  // Then all the same it can be replaced.
  const pid_t third = Replace(first, 4);
  EXPECT_TRUE(load->AwaitVersion("4", kLong));
  EXPECT_EQ(server_.AwaitExit(first), 0);
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << server_.log();
  server_.Signal(third, SIGTERM);
  EXPECT_EQ(server_.AwaitExit(third), 0);
  server_.AwaitNobody();
}

TEST_F(EmbedTest, TakesOverFromASuccessorThatIsKilledInStandby) {
  const pid_t first = StartFirst();
  server_.Signal(first, SIGUSR2);
  Await(1, "standby");
  AwaitAnswerOf(2);
  server_.Signal(server_.ChildOf(first), SIGKILL);
  server_.Await("keeps serving");
  EXPECT_TRUE(absl::StrContains(Get(), "X-Version: 1\r\n")) << server_.log();
}

TEST_F(EmbedTest, AStopEndsIdleConnectionsAndFinishesBusyOnes) {
  const pid_t pid = StartFirst();
  auto idle = Load({{.kind = LoadKind::kIdle, .connections = 16}});
  Until([&] { return idle->Peek().Sum().count(LoadOutcome::kOk) == 16; });
  Client silent(address_);
  Client half_asked(address_);
  half_asked.Send("GET / HTTP/1.1\r\n");
  Client second_asked(address_);  // as idle as any, but for a part of a second request
  second_asked.Send(kGet);
  EXPECT_TRUE(absl::StrContains(second_asked.Answer(), "X-Version: 1\r\n"));
  second_asked.Send("GET / HTTP/1.1\r\n");
  Get();  // the server has seen all of this
  server_.Signal(pid, SIGTERM);
  EXPECT_EQ(silent.Rest(), "");
  Until([&] { return idle->Peek().Sum().closed_idle == 16; });
  for (Client* client : {&half_asked, &second_asked}) {
    client->Send("Host: zdd\r\n\r\n");
    EXPECT_TRUE(SaysClose(client->Answer()));
    EXPECT_EQ(client->Rest(), "");
  }
  EXPECT_EQ(idle->Stop().lost(), 0);
  EXPECT_EQ(server_.AwaitExit(pid), 0) << server_.log();
  server_.AwaitNobody();
}

TEST_F(EmbedTest, TheLastAnswerArrivesWhateverItsClientSendsOrEnds) {
  const pid_t pid = StartFirst();
  Client silent(address_);
  Client sends_more(address_);
  sends_more.Send("GET / HTTP/1.1\r\n");
  Client ends(address_);
  ends.Send("GET / HTTP/1.1\r\n");
  Get();
  server_.Signal(pid, SIGTERM);
  EXPECT_EQ(silent.Rest(), "");  // a grace after its goodbye: by then all were said
  std::string more = "Host: zdd\r\n\r\n";
  for (int i = 0; i < 2000; ++i) more += kGet;  // more than a server reads at once
  sends_more.Send(more);
  EXPECT_TRUE(SaysClose(sends_more.Rest()));
  sends_more.Send(kGet);  // it has not been reset
  ends.Send("Host: zdd\r\n\r\n");
  // Pistache drops what it has not sent yet when its client ends.
  if (absl::EndsWith(*program, "/pistache")) {
    EXPECT_TRUE(SaysClose(ends.Answer()));
  } else {
    ends.EndSending();
    EXPECT_TRUE(SaysClose(ends.Rest()));
  }
  EXPECT_EQ(server_.AwaitExit(pid), 0) << server_.log();
}

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  zdd::program = new std::string(argv[1]);
  return RUN_ALL_TESTS();
}
