// One listener drains, and an upgrade comes in the midst: who waits in its queue is served, by the
// successor or by whoever is left, and nobody is lost.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"
#include "zdd/base/owned_fd.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr absl::Duration kLong = Lineage::kLong;

// Users with connections of their own, and some who come anew for each request.
std::unique_ptr<LoadClient> Load(const std::string& address) {
  LoadOptions options;
  options.address = address;
  options.groups = {{.kind = LoadKind::kKeepAlive, .connections = 16, .rate = 200},
                    {.kind = LoadKind::kNew, .connections = 4, .rate = 50}};
  options.timeout = kLong;
  auto load = LoadClient::Start(options);
  EXPECT_TRUE(load.ok()) << load.status();
  EXPECT_TRUE((*load)->AwaitAllGroups(kLong));
  return *std::move(load);
}

void ExpectNothingLost(LoadClient* load, const Lineage& lineage) {
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();
}

OwnedFd Ask(const std::string& text) {
  absl::StatusOr<Address> address = Address::Parse(text);
  EXPECT_TRUE(address.ok()) << address.status();
  OwnedFd fd(socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), address->sockaddr(), address->size()), 0);
  constexpr char kRequest[] = "GET / HTTP/1.1\r\n\r\n";
  EXPECT_GT(send(fd.get(), kRequest, sizeof(kRequest) - 1, MSG_NOSIGNAL), 0);
  return fd;
}

std::string ReadToEnd(int fd) {
  std::string read;
  char buffer[4096];
  for (ssize_t size; (size = recv(fd, buffer, sizeof(buffer), 0)) > 0;) read.append(buffer, size);
  return read;
}

class ListenerDrainTest : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Modes, ListenerDrainTest, ::testing::Values("push", "pull", "raw"));

TEST_P(ListenerDrainTest, TheSuccessorServesWhoWaitsInTheQueue) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "drain_by_signal http", "mode " + GetParam(),
                   "grace_ms 1000", "spread_ms 500", "deadline_ms 20000"});
  const pid_t first = lineage.StartFirst();
  auto load = Load(lineage.Address());
  lineage.Signal(first, SIGUSR1);
  lineage.Await("listener.draining", first);
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("upgrade.promoted", first);
  EXPECT_TRUE(load->AwaitVersion("v2", kLong)) << lineage.History();
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  ExpectNothingLost(load.get(), lineage);
}

TEST_P(ListenerDrainTest, ARollbackChangesNothingAndACancelServesWhoWaits) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "drain_by_signal http", "mode " + GetParam(),
                   "grace_ms 1000", "spread_ms 500", "deadline_ms 20000"});
  const pid_t first = lineage.StartFirst();
  auto load = Load(lineage.Address());
  lineage.Signal(first, SIGUSR1);
  lineage.Await("listener.draining", first);
  lineage.Script({"version v2", "fail check broken"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("upgrade.rolled_back", first);
  lineage.Await("listener.drained", first);  // all users have come back, and wait
  const OwnedFd waiting = Ask(lineage.Address());
  lineage.Signal(first, SIGHUP);
  lineage.Await("listener.resumed", first);
  char byte;
  EXPECT_EQ(recv(waiting.get(), &byte, 1, 0), 1);
  ExpectNothingLost(load.get(), lineage);
  EXPECT_FALSE(lineage.Saw("test.refused"));
}

// Not with an Acceptor of its own: zdd cannot accept for it.
TEST_P(ListenerDrainTest, WhoWaitsAtAListenerThatTheNextVersionDropsIsServedStill) {
  if (GetParam() == "raw") return;
  Lineage lineage({"listen http tcp://127.0.0.1:0", "mode " + GetParam(), "deadline_ms 20000"});
  const pid_t first =
      lineage.StartFirst({"version v1", "listen old tcp://127.0.0.1:0", "drain_by_signal old"});
  const std::string old = lineage.Address("old");
  lineage.Signal(first, SIGUSR1);
  lineage.Await("listener.drained", first);
  const OwnedFd waiting = Ask(old);
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  lineage.Await("upgrade.promoted", first);
  EXPECT_TRUE(absl::StrContains(ReadToEnd(waiting.get()), "X-Version: v1"));
  EXPECT_EQ(lineage.AwaitExit(first), 0);
}

TEST(MovingToADrainingListenerTest, WhoWouldMoveThereStaysAndSaysGoodbye) {
  Lineage lineage({"listen http tcp://127.0.0.1:0", "drain_by_signal http", "format test/1",
                   "deadline_ms 20000"});
  const pid_t first = lineage.StartFirst();
  LoadOptions options;
  options.address = lineage.Address();
  options.groups = {{.kind = LoadKind::kSlow, .connections = 32, .length = absl::Seconds(2)}};
  options.timeout = kLong;
  auto load = LoadClient::Start(options);
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_TRUE((*load)->AwaitAllGroups(kLong));
  lineage.Script({"version v2"});
  lineage.Signal(first, SIGUSR2);
  const pid_t second = lineage.Await("test.started").pid;
  lineage.Await("phase.serving", second);
  lineage.Signal(second, SIGUSR1);  // while most of those requests are in the first one's hands
  lineage.Await("listener.draining", second);
  const std::string report = lineage.Await("test.ended", first).message;
  EXPECT_FALSE(absl::StrContains(report, "\"came_back\": 0,")) << report;
  EXPECT_TRUE(absl::StrContains(report, "\"late\": 0,")) << report;
  lineage.Signal(second, SIGHUP);
  lineage.Await("listener.resumed", second);
  ExpectNothingLost(load->get(), lineage);
}

}  // namespace
}  // namespace zdd
