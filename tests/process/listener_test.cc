// Each kind of listener goes through restarts and stays what it was, while its clients go on.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/owned_fd.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr absl::Duration kLong = Lineage::kLong;

Address Parsed(const std::string& text) {
  absl::StatusOr<Address> address = Address::Parse(text);
  EXPECT_TRUE(address.ok()) << address.status();
  return *address;
}

bool Connects(const std::string& text) {
  const Address address = Parsed(text);
  OwnedFd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), address.sockaddr(), address.size()) == 0;
}

std::unique_ptr<LoadClient> Hammer(const std::string& address) {
  LoadOptions options;
  options.address = address;
  options.groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 200},
                    {.kind = LoadKind::kKeepAlive, .connections = 4, .rate = 200}};
  auto load = LoadClient::Start(options);
  EXPECT_TRUE(load.ok()) << load.status();
  return *std::move(load);
}

// v1 is replaced by v2: its pid.
pid_t Replace(Lineage* lineage, pid_t first) {
  lineage->Script({"version v2"});
  lineage->Signal(first, SIGUSR2);
  const pid_t second = lineage->Await("test.started").pid;
  lineage->Await("phase.serving", second);
  EXPECT_EQ(lineage->AwaitExit(first), 0);
  return second;
}

// v1 gets a successor that does not live to serve.
void FailToReplace(Lineage* lineage, pid_t first) {
  lineage->Script({"version v2", "at phase.accepting kill"});
  lineage->Signal(first, SIGUSR2);
  lineage->Await("upgrade.rolled_back", first);
}

void ExpectNothingLost(LoadClient* load, const Lineage& lineage) {
  EXPECT_TRUE(load->AwaitVersion("v2", kLong));
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
}

std::string PortOf(const std::string& address) {
  return address.substr(address.rfind(':'));  // with its colon
}

TEST(ListenerTest, DualStackServesBothFamiliesThroughARestart) {
  Lineage lineage({"listen http tcp://[::]:0"});
  const pid_t first = lineage.StartFirst();
  const std::string port = PortOf(lineage.Address());
  auto six = Hammer("tcp://[::1]" + port);
  auto four = Hammer("tcp://127.0.0.1" + port);
  Replace(&lineage, first);
  EXPECT_EQ(PortOf(lineage.Address()), port);
  ExpectNothingLost(six.get(), lineage);
  ExpectNothingLost(four.get(), lineage);
}

TEST(ListenerTest, V6OnlyStaysSoThroughARestart) {
  Lineage lineage({"listen http tcp://[::]:0 v6only"});
  const pid_t first = lineage.StartFirst();
  const std::string port = PortOf(lineage.Address());
  EXPECT_FALSE(Connects("tcp://127.0.0.1" + port));
  auto load = Hammer("tcp://[::1]" + port);
  Replace(&lineage, first);
  EXPECT_FALSE(Connects("tcp://127.0.0.1" + port));
  ExpectNothingLost(load.get(), lineage);
}

TEST(ListenerTest, AnInterfaceBindingGoesOver) {
  Lineage lineage({});
  const pid_t first = lineage.StartFirst({"version v1", "listen http tcp://127.0.0.1:0 device=lo"});
  auto load = Hammer(lineage.Address());
  const std::string listen = absl::StrCat("listen http ", lineage.Address());
  lineage.Script({"version v2", listen + " device=lo"});
  lineage.Signal(first, SIGUSR2);
  const pid_t second = lineage.Await("test.started").pid;
  lineage.Await("phase.serving", second);
  const std::string report = lineage.Await("test.ended", first).message;
  EXPECT_TRUE(absl::StrContains(report, "\"fate\": \"kept\"")) << report;
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  ExpectNothingLost(load.get(), lineage);
}

// A change that needs a new socket, on a port whose old one is in its way.
struct Refused {
  std::string name;
  std::string host;  // and transport
  std::string option;
  std::string next_option;
  std::string why;
};

class RefusedTest : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedTest, TheNextVersionIsToldTheCureWhileThisOneServes) {
  const Refused& change = GetParam();
  Lineage lineage({});
  const pid_t first =
      lineage.StartFirst({"version v1", "listen http " + change.host + ":0 " + change.option});
  const std::string port = PortOf(lineage.Address());
  auto load = Hammer((change.host == "tcp://[::]" ? "tcp://[::1]" : change.host) + port);
  lineage.Script({"version v2", "listen http " + change.host + port + " " + change.next_option});
  lineage.Signal(first, SIGUSR2);
  const std::string why = lineage.Await("test.failed").message;
  EXPECT_TRUE(absl::StrContains(why, "ALREADY_EXISTS")) << why;
  EXPECT_TRUE(absl::StrContains(why, change.why)) << why;
  EXPECT_TRUE(absl::StrContains(why, "change the port too")) << why;
  lineage.Await("upgrade.rolled_back", first);
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable();
  EXPECT_EQ(report.versions.size(), 1);
}

INSTANTIATE_TEST_SUITE_P(Change, RefusedTest,
                         ::testing::Values(Refused{"InterfaceTakenAway", "tcp://127.0.0.1",
                                                   "device=lo", "", "device \"lo\", asked \"\""},
                                           Refused{"V6OnlyNow", "tcp://[::]", "", "v6only",
                                                   "takes IPv4 too, asked IPv6 only"},
                                           Refused{"DualStackNow", "tcp://[::]", "v6only", "",
                                                   "takes IPv6 only, asked IPv4 too"}),
                         [](const auto& info) { return info.param.name; });

TEST(ListenerTest, AnAddressThatIsLeftToNobodyIsWarnedOf) {
  Lineage lineage({});
  const pid_t first = lineage.StartFirst(
      {"version v1", "listen web tcp://127.0.0.1:0", "listen admin tcp://127.0.0.1:0"});
  const std::string web = lineage.Address("web");
  const std::string admin = lineage.Address("admin");
  lineage.Script({"version v2", "listen web tcp://127.0.0.2:0"});
  const pid_t second = lineage.Start();  // by hand, as one who means a second server
  lineage.Await("phase.serving", second);
  const std::string rebound = lineage.Await("listener.dropped", second).message;
  EXPECT_EQ(rebound, absl::StrCat("listener \"web\": nobody accepts on ", web,
                                  " any more (rebound to ", lineage.Address("web"), ")"));
  const std::string dropped = lineage.Await("listener.dropped", second).message;
  EXPECT_EQ(dropped, absl::StrCat("listener \"admin\": nobody accepts on ", admin,
                                  " any more (this version does not listen there)"));
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  EXPECT_FALSE(Connects(web));
}

TEST(ListenerTest, WhatIsKeptOrRenamedIsNotWarnedOf) {
  Lineage lineage({});
  const pid_t first = lineage.StartFirst({"version v1", "listen web tcp://127.0.0.1:0"});
  lineage.Script({"version v2", absl::StrCat("listen www ", lineage.Address("web"))});
  lineage.Signal(first, SIGUSR2);
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  EXPECT_FALSE(lineage.Saw("listener.dropped"));
}

// A successor that fails makes the owner look at once, else it looks each ten seconds.
TEST(ListenerTest, ARemovedSocketFileIsMadeAgainAndGoesOver) {
  const TempDir dir;
  const std::string path = dir.File("web");
  const std::string address = "unix://" + path;
  Lineage lineage({"listen http " + address});
  const pid_t first = lineage.StartFirst();
  // Who is served finds an owner that has looked already.
  EXPECT_TRUE(Hammer(address)->AwaitVersion("v1", kLong));
  ASSERT_EQ(unlink(path.c_str()), 0);
  EXPECT_FALSE(Connects(address));
  lineage.Script({"version bad", "fail exit 3"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("test.started");
  lineage.Await("listener.remade", first);
  auto load = Hammer(address);
  EXPECT_TRUE(load->AwaitVersion("v1", kLong));
  const pid_t second = Replace(&lineage, first);
  ExpectNothingLost(load.get(), lineage);
  EXPECT_FALSE(lineage.Saw("listener.remade", second));
  lineage.Signal(second, SIGTERM);
  EXPECT_EQ(lineage.AwaitExit(second), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

// Asks one question after another, each until it is answered.
class UdpClient {
 public:
  explicit UdpClient(const std::string& server)
      : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const Address address = Parsed(server);
    EXPECT_EQ(connect(fd_.get(), address.sockaddr(), address.size()), 0);
    thread_ = std::thread([this] { Run(); });
  }

  ~UdpClient() { Stop(); }

  // The version that gave each answer, in order; "lost" where none came.
  std::vector<std::string> Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return versions_;
  }

  void AwaitAnswers(int count) const {
    for (const int target = answers_ + count; answers_ < target && !stop_;) poll(nullptr, 0, 1);
  }

 private:
  void Run() {
    for (int number = 0; !stop_; ++number) {
      versions_.push_back(Ask(absl::StrCat(number)));
      ++answers_;
    }
  }

  std::string Ask(const std::string& question) const {
    EXPECT_EQ(send(fd_.get(), question.data(), question.size(), 0), ssize_t(question.size()));
    pollfd polled = {fd_.get(), POLLIN, 0};
    if (poll(&polled, 1, 5000) != 1) return "lost";
    char text[512];
    const ssize_t n = recv(fd_.get(), text, sizeof(text), 0);
    const std::vector<std::string> words =
        absl::StrSplit(absl::string_view(text, n < 0 ? 0 : n), ' ');
    return words.size() == 2 && words[1] == question ? words[0] : "wrong";
  }

  OwnedFd fd_;
  std::vector<std::string> versions_;
  std::atomic<int> answers_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class UdpTest : public ::testing::TestWithParam<std::string> {
 protected:
  // The version that gave each answer, from before `change(first)` to after it.
  std::vector<std::string> AskThrough(absl::FunctionRef<void(pid_t first)> change) {
    const pid_t first = lineage_.StartFirst();
    UdpClient client(lineage_.Address("dns"));
    client.AwaitAnswers(100);
    change(first);
    client.AwaitAnswers(100);
    return client.Stop();
  }

  const bool exclusive_ = GetParam() == "exclusive";
  Lineage lineage_{{"listen dns udp://127.0.0.1:0 " + GetParam(), "standby_ms 300"}};
};

TEST_P(UdpTest, EachDatagramIsAnsweredThroughARestart) {
  const std::vector<std::string> versions =
      AskThrough([&](pid_t first) { Replace(&lineage_, first); });
  bool second_seen = false;
  for (const std::string& version : versions) {
    ASSERT_TRUE(version == "v1" || version == "v2") << version;
    second_seen = second_seen || version == "v2";
    ASSERT_FALSE(exclusive_ && second_seen && version == "v1") << "two generations read one socket";
  }
  EXPECT_EQ(versions.front(), "v1");
  EXPECT_EQ(versions.back(), "v2");
}

TEST_P(UdpTest, EachDatagramIsAnsweredThroughARollback) {
  const std::vector<std::string> versions =
      AskThrough([&](pid_t first) { FailToReplace(&lineage_, first); });
  // A shared socket: the datagram that the dead one had in its hands is gone with it.
  EXPECT_LE(absl::c_count(versions, "lost"), exclusive_ ? 0 : 1);
  EXPECT_EQ(absl::c_count(versions, "wrong"), 0);
  EXPECT_TRUE(!exclusive_ || absl::c_count(versions, "v2") == 0) << "it never owned the socket";
  EXPECT_EQ(versions.back(), "v1");
}

INSTANTIATE_TEST_SUITE_P(SharedOrNot, UdpTest, ::testing::Values("shared", "exclusive"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace zdd
