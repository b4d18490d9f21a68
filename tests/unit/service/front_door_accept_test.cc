// The front door, within one process and one generation: how connections come in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "tests/unit/service/front_door_fixture.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "zdd/service.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;

TEST_F(FrontDoorTest, ServesStopsAndLeavesNothingBehind) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  EXPECT_NE(http.address().port(), 0);
  EXPECT_EQ(http.name(), "http");
  Awaited<Connection> accepted;
  ASSERT_OK(http.OnConnection([&](Connection connection) { accepted.Set(std::move(connection)); }));
  EXPECT_EQ(service.state(), State::kStarting);
  ASSERT_OK(service.Start());
  EXPECT_EQ(service.state(), State::kServing);
  EXPECT_TRUE(service.ready());
  EXPECT_EQ(service.generation(), 1);
  Client client(http.address());
  ASSERT_TRUE(client.connected());
  { Connection connection = accepted.Get(); }
  service.Stop("test");
  Report report = service.Wait();
  EXPECT_OK(report.status);
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_EQ(report.reason, "test");
  EXPECT_EQ(report.self.number, 1);
  EXPECT_EQ(service.state(), State::kDrained);
  EXPECT_FALSE(service.ready());
  EXPECT_FALSE(Client(http.address()).connected());
  EXPECT_THAT(Files(dir_.File("run")), ElementsAre("test.lock"));
}

TEST_F(FrontDoorTest, PullSleepsUntilAConnectionAndEndsAtTheStop) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  ASSERT_OK(service.Start());
  Client client(http.address());
  absl::optional<Connection> connection = http.Accept();
  ASSERT_TRUE(connection.has_value());
  EXPECT_EQ(connection->peer.transport(), Transport::kTcp);
  std::thread second([&] { EXPECT_FALSE(http.Accept().has_value()); });
  std::thread third([&] { EXPECT_FALSE(http.Accept().has_value()); });
  service.Stop("test");
  second.join();
  third.join();
  connection.reset();
  EXPECT_OK(service.Wait().status);
  EXPECT_FALSE(http.Accept().has_value());
}

TEST_F(FrontDoorTest, APausedListenerLeavesItsClientsInTheQueue) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  ASSERT_OK_AND_MOVE(Listener other, service.Listen("other", "tcp://127.0.0.1:0"));
  std::atomic<int> accepted{0};
  ASSERT_OK(http.OnConnection([&](Connection) { ++accepted; }));
  Awaited<bool> on_other;
  ASSERT_OK(other.OnConnection([&](Connection) { on_other.Set(true); }));
  ASSERT_OK(service.Start());
  http.Pause();
  Client waiting(http.address());
  ASSERT_TRUE(waiting.connected());
  Client through(other.address());
  on_other.Get();  // the loop has gone round
  EXPECT_EQ(accepted, 0);
  http.Resume();
  EXPECT_TRUE(waiting.ReadToEnd());
  EXPECT_EQ(accepted, 1);
}

TEST_F(FrontDoorTest, OutOfDescriptorsClientsWaitInTheQueue) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  Awaited<Connection> accepted;
  ASSERT_OK(http.OnConnection([&](Connection connection) { accepted.Set(std::move(connection)); }));
  ASSERT_OK(service.Start());
  const Address address = http.address();
  OwnedFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Every number below the limit is taken: accept4 answers EMFILE.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 200;
  std::vector<OwnedFd> fillers;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  for (int fd; (fd = dup(client.get())) >= 0;) fillers.emplace_back(fd);
  ASSERT_EQ(connect(client.get(), address.sockaddr(), address.size()), 0);
  const std::shared_ptr<EventNames> events = events_;
  for (int i = 0; i < 5000 && !events->Has("listener.exhausted"); ++i) poll(nullptr, 0, 1);
  fillers.clear();
  EXPECT_TRUE(events->Has("listener.exhausted"));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  Connection connection = accepted.Get();
  EXPECT_TRUE(connection.fd.valid());
}

TEST_F(FrontDoorTest, AListenerThatWasShutDownIsRevivedAndReported) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener raw, service.Listen("raw", "tcp://127.0.0.1:0"));
  ASSERT_OK(service.Start());
  std::thread puller([&] {
    while (raw.Accept().has_value()) {
    }
  });
  // Somebody who holds a duplicate kills it for all.
  for (const auto& [fd, what] : OpenFds()) {
    int listening = 0;
    socklen_t size = sizeof(listening);
    sockaddr_storage name;
    socklen_t name_size = sizeof(name);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0)
      continue;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &name_size) == 0 &&
        name.ss_family == AF_INET) {
      shutdown(fd, SHUT_RD);
    }
  }
  // It listens again soon, on the same port.
  bool connected = false;
  for (int i = 0; i < 1000 && !connected; ++i) {
    connected = Client(raw.address()).connected();
    if (!connected) poll(nullptr, 0, 2);
  }
  EXPECT_TRUE(connected);
  EXPECT_TRUE(events_->Has("listener.shut_down"));
  service.Stop("test");
  puller.join();
  service.Wait();
}

}  // namespace
}  // namespace zdd
