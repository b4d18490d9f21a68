// The front door, within one process and one generation: what a stop waits for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>
#include <utility>

#include "tests/unit/service/front_door_fixture.h"
#include "tests/util/status_matchers.h"
#include "zdd/service.h"

namespace zdd {
namespace {

using ::testing::HasSubstr;

class OwnAcceptor : public Acceptor {
 public:
  void Start(int socket, OwnedFd fd) override {
    EXPECT_EQ(socket, 0);
    started.Set(std::move(fd));
  }
  void Stop(int, Task stopped) override { stop.Set(std::move(stopped)); }
  Awaited<OwnedFd> started;
  Awaited<Task> stop;
};

TEST_F(FrontDoorTest, ADrainWaitsUntilARawAcceptorHasStopped) {
  OwnAcceptor acceptor;
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  ASSERT_OK(http.AcceptWith(&acceptor));
  ASSERT_OK(service.Start());
  OwnedFd listening = acceptor.started.Get();
  Client client(http.address());
  OwnedFd accepted(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  Ticket ticket = http.Enter(accepted.get());
  service.Stop("test");
  Task stopped = acceptor.stop.Get();
  ticket.Reset();
  EXPECT_EQ(service.state(), State::kDraining);
  listening.Reset();
  stopped();
  EXPECT_OK(service.Wait().status);
}

TEST_F(FrontDoorTest, AnAcceptorThatNeverStopsIsNamedAtTheDeadline) {
  OwnAcceptor acceptor;
  Options options = MakeOptions();
  options.drain.deadline = absl::Milliseconds(50);
  ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  ASSERT_OK(http.AcceptWith(&acceptor));
  ASSERT_OK(service.Start());
  acceptor.started.Get();
  service.Stop("test");
  Task stopped = acceptor.stop.Get();
  Report report = service.Wait();
  ASSERT_EQ(report.drain.stragglers.size(), 1);
  EXPECT_EQ(report.drain.stragglers[0].kind, "acceptor of http");
  stopped();
}

TEST_F(FrontDoorTest, ADrainWaitsForBusyTicketsAndNamesThoseThatStayed) {
  Options options = MakeOptions();
  options.drain.deadline = absl::Milliseconds(100);
  ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
  ASSERT_OK(service.Start());
  Ticket job = service.Enter("job");
  service.Stop("test");
  Report report = service.Wait();
  EXPECT_OK(report.status);
  ASSERT_EQ(report.drain.stragglers.size(), 1);
  EXPECT_EQ(report.drain.stragglers[0].kind, "job");
  EXPECT_TRUE(report.drain.stragglers[0].busy);
  EXPECT_THAT(report.ToJson(), HasSubstr("\"kind\": \"job\""));
  EXPECT_TRUE(events_->Has("drain.cut"));
}

TEST_F(FrontDoorTest, TicketsAndListenersMayOutliveTheService) {
  Ticket ticket;
  Listener http;
  {
    ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
    ASSERT_OK_AND_MOVE(http, service.Listen("http", "tcp://127.0.0.1:0"));
    ASSERT_OK(service.Start());
    ticket = http.Enter();
  }
  EXPECT_FALSE(http.Accept().has_value());
  http.Pause();
  http.Resume();
  EXPECT_NE(http.address().port(), 0);
  ticket.SetBusy(false);
  ticket.Reset();
  Ticket late = http.Enter();
}

TEST_F(FrontDoorTest, LameDuckAcceptsWhileReadinessSaysNo) {
  Options options = MakeOptions();
  options.drain.delay = absl::Seconds(20);
  ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  ASSERT_OK(service.Start());
  service.Stop("test");
  std::thread client([&] { EXPECT_TRUE(Client(http.address()).connected()); });
  EXPECT_TRUE(http.Accept().has_value());
  client.join();
  EXPECT_EQ(service.state(), State::kServing);
  service.Stop("again");  // no more waiting
  EXPECT_OK(service.Wait().status);
  EXPECT_FALSE(service.ready());
}

}  // namespace
}  // namespace zdd
