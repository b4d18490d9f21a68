// The front door: one listener drains while the service serves on, and accepts again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/unit/service/front_door_fixture.h"
#include "tests/util/status_matchers.h"
#include "zdd/service.h"

namespace zdd {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// A service with two listeners that push.
class ListenerDrainTest : public FrontDoorTest {
 protected:
  void Start(Options options) {
    ASSERT_OK_AND_MOVE(service_, Service::Create(std::move(options)));
    ASSERT_OK_AND_MOVE(http_, service_.Listen("http", "tcp://127.0.0.1:0"));
    ASSERT_OK_AND_MOVE(admin_, service_.Listen("admin", "tcp://127.0.0.1:0"));
    ASSERT_OK(http_.OnConnection([this](Connection one) { at_http_.Set(std::move(one)); }));
    ASSERT_OK(admin_.OnConnection([this](Connection one) { at_admin_.Set(std::move(one)); }));
    ASSERT_OK(service_.Start());
  }
  void Start() { Start(MakeOptions()); }

  absl::Status Drain() {
    return http_.Drain("test", [this](const DrainReport& report) { done_.Set(report); });
  }
  static void End(Connection connection) { connection.ticket.Reset(); }
  // Until it was asked something.
  static void AwaitAsked(Connection* connection) {
    Awaited<Ask> asked;
    connection->ticket.OnAsk([&](Ask ask) { asked.Set(ask); });
    EXPECT_EQ(asked.Get(), Ask::kGoodbye);
    connection->ticket.OnAsk(nullptr);
  }

  Awaited<Connection> at_http_;
  Awaited<Connection> at_admin_;
  Awaited<DrainReport> done_;
  Service service_;
  Listener http_;
  Listener admin_;
};

TEST_F(ListenerDrainTest, ItsConnectionsEndAndNoOtherHearsAThing) {
  Start();
  Client one(http_.address());
  Client other(admin_.address());
  Connection at_http = at_http_.Get();
  Connection at_admin = at_admin_.Get();
  ASSERT_OK(Drain());
  AwaitAsked(&at_http);
  EXPECT_THAT(http_.Progress().state, AnyOf("asking", "waiting"));
  EXPECT_EQ(http_.Progress().now.busy, 1);
  End(std::move(at_http));
  const DrainReport report = done_.Get();
  EXPECT_TRUE(report.drained);
  EXPECT_EQ(report.reason, "test");
  EXPECT_EQ(report.entered, 1);
  EXPECT_EQ(report.closed, 1);
  EXPECT_TRUE(events_->Has("listener.draining"));
  EXPECT_TRUE(events_->Has("listener.drained"));
  EXPECT_EQ(http_.Progress().state, "drained");
  EXPECT_EQ(http_.Progress().so_far.closed, 1);
  EXPECT_FALSE(at_admin.ticket.ShouldClose());
  EXPECT_EQ(service_.state(), State::kServing);
  EXPECT_TRUE(service_.ready());
}

TEST_F(ListenerDrainTest, AnIdleConnectionIsClosedFromOutside) {
  Start();
  Client client(http_.address());
  Connection connection = at_http_.Get();
  connection.ticket.SetBusy(false);
  ASSERT_OK(Drain());
  char byte;
  EXPECT_EQ(recv(connection.fd.get(), &byte, 1, 0), -1);
  pollfd polled = {connection.fd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&polled, 1, -1), 1);
  EXPECT_EQ(recv(connection.fd.get(), &byte, 1, 0), 0);
  End(std::move(connection));
  EXPECT_EQ(done_.Get().closed, 1);
}

TEST_F(ListenerDrainTest, WhoComesMeanwhileWaitsAndIsServedAfterACancel) {
  Start();
  Client first(http_.address());
  Connection begun = at_http_.Get();
  ASSERT_OK(Drain());
  AwaitAsked(&begun);
  Client second(http_.address());
  EXPECT_TRUE(second.connected());
  // The other listener has served one that came after it.
  Client after(admin_.address());
  at_admin_.Get();
  EXPECT_FALSE(at_http_.Has());
  ASSERT_OK(http_.CancelDrain());
  Connection served = at_http_.Get();
  EXPECT_FALSE(served.ticket.ShouldClose());
  EXPECT_TRUE(begun.ticket.ShouldClose());  // it was said
  EXPECT_FALSE(done_.Get().drained);
  EXPECT_TRUE(events_->Has("listener.resumed"));
  EXPECT_FALSE(events_->Has("listener.drained"));
}

TEST_F(ListenerDrainTest, ACancelAfterTheEndServesWhoWaited) {
  Start();
  ASSERT_OK(Drain());
  EXPECT_TRUE(done_.Get().drained);
  Client client(http_.address());
  ASSERT_OK(http_.CancelDrain());
  at_http_.Get();
  ASSERT_OK(Drain());  // and again
  EXPECT_TRUE(done_.Get().drained);
}

TEST_F(ListenerDrainTest, ItMayBeCancelledFromItsOwnCallback) {
  Start();
  Awaited<absl::Status> cancelled;
  ASSERT_OK(http_.Drain("test", [&](const DrainReport&) { cancelled.Set(http_.CancelDrain()); }));
  EXPECT_OK(cancelled.Get());
  Client client(http_.address());
  at_http_.Get();
}

TEST_F(ListenerDrainTest, APauseOutlivesACancelledDrain) {
  Start();
  http_.Pause();
  ASSERT_OK(Drain());
  ASSERT_OK(http_.CancelDrain());
  Client client(http_.address());
  Client after(admin_.address());
  at_admin_.Get();
  EXPECT_FALSE(at_http_.Has());
  http_.Resume();
  at_http_.Get();
}

TEST_F(ListenerDrainTest, AStopTakesItOver) {
  Start();
  Client client(http_.address());
  Connection connection = at_http_.Get();
  ASSERT_OK(Drain());
  AwaitAsked(&connection);
  service_.Stop("enough");
  EXPECT_FALSE(done_.Get().drained);
  EXPECT_STATUS(http_.CancelDrain(), kFailedPrecondition, "the service itself drains");
  EXPECT_STATUS(admin_.Drain("late"), kFailedPrecondition, "the service itself drains");
  End(std::move(connection));
  const Report report = service_.Wait();
  EXPECT_EQ(report.drain.reason, "enough");
  EXPECT_EQ(report.drain.closed, 1);
  EXPECT_EQ(report.drain.late, 0);
}

TEST_F(ListenerDrainTest, AStopServesWhoWaitedToo) {
  Start();
  ASSERT_OK(Drain());
  done_.Get();
  Client client(http_.address());
  service_.Stop("enough");
  Connection served = at_http_.Get();
  EXPECT_NE(served.ticket.Asked(), Ask::kCloseNow);
  End(std::move(served));
  EXPECT_EQ(service_.Wait().drain.cut, 0);
}

TEST_F(ListenerDrainTest, ASecondStopHurriesWhatTheListenerBegan) {
  Options options = MakeOptions();
  options.drain.deadline = absl::Hours(2);
  options.drain.grace = absl::Hours(1);
  Start(std::move(options));
  Client client(http_.address());
  Connection connection = at_http_.Get();
  connection.ticket.SetBusy(false);
  ASSERT_OK(Drain());
  service_.Stop("one");
  service_.Stop("two");
  pollfd polled = {connection.fd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&polled, 1, -1), 1);  // closed though its grace is not over
  End(std::move(connection));
  EXPECT_OK(service_.Wait().status);
}

TEST_F(ListenerDrainTest, ARawAcceptorIsStoppedAndStartedAgain) {
  class OwnAcceptor : public Acceptor {
   public:
    void Start(int, OwnedFd fd) override { started.Set(std::move(fd)); }
    void Stop(int, Task stopped) override { stop.Set(std::move(stopped)); }
    Awaited<OwnedFd> started;
    Awaited<Task> stop;
  };
  OwnAcceptor acceptor;
  ASSERT_OK_AND_MOVE(service_, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(http_, service_.Listen("http", "tcp://127.0.0.1:0"));
  ASSERT_OK(http_.AcceptWith(&acceptor));
  ASSERT_OK(service_.Start());
  OwnedFd listening = acceptor.started.Get();
  ASSERT_OK(Drain());
  Task stopped = acceptor.stop.Get();
  EXPECT_THAT(http_.Progress().state, AnyOf("asking", "waiting"));
  listening.Reset();
  stopped();
  EXPECT_TRUE(done_.Get().drained);
  ASSERT_OK(http_.CancelDrain());
  listening = acceptor.started.Get();
  service_.Stop("test");
  stopped = acceptor.stop.Get();
  listening.Reset();
  stopped();
  EXPECT_OK(service_.Wait().status);
}

TEST_F(ListenerDrainTest, WhoStaysUntilTheDeadlineIsCutAndNamed) {
  Options options = MakeOptions();
  options.drain.classes["http"].deadline = absl::Milliseconds(50);
  Start(std::move(options));
  Client client(http_.address());
  Connection stubborn = at_http_.Get();
  ASSERT_OK(Drain());
  const DrainReport report = done_.Get();
  EXPECT_TRUE(report.drained);
  EXPECT_EQ(report.late, 1);
  ASSERT_EQ(report.stragglers.size(), 1);
  EXPECT_EQ(report.stragglers[0].kind, "http");
  EXPECT_EQ(report.stragglers[0].peer.substr(0, 16), "tcp://127.0.0.1:");
  EXPECT_EQ(stubborn.ticket.Asked(), Ask::kCloseNow);
  EXPECT_TRUE(events_->Has("drain.cut"));
}

TEST_F(ListenerDrainTest, TheLameDucksDelayIsNotForOneListener) {
  Options options = MakeOptions();
  options.drain.delay = absl::Hours(1);
  options.drain.deadline = absl::Hours(2);
  Start(std::move(options));
  ASSERT_OK(Drain());
  EXPECT_TRUE(done_.Get().drained);
}

// ---- Wrong calls

TEST_F(ListenerDrainTest, WrongCallsAreToldWhatToDo) {
  EXPECT_STATUS(Listener().Drain("test"), kFailedPrecondition, "this Listener is empty");
  EXPECT_STATUS(Listener().CancelDrain(), kFailedPrecondition, "this Listener is empty");
  {
    ASSERT_OK_AND_MOVE(Service early, Service::Create(MakeOptions()));
    ASSERT_OK_AND_MOVE(Listener listener, early.Listen("http", "tcp://127.0.0.1:0"));
    EXPECT_STATUS(listener.Drain("test"), kFailedPrecondition, "has not started; Pause()");
    EXPECT_STATUS(listener.CancelDrain(), kFailedPrecondition, "it does not drain");
    http_ = listener;
  }
  EXPECT_STATUS(http_.Drain("test"), kFailedPrecondition, "its service was destroyed");
  Start();
  EXPECT_STATUS(http_.CancelDrain(), kFailedPrecondition, "it does not drain");
  Client client(http_.address());
  Connection connection = at_http_.Get();
  ASSERT_OK(Drain());
  EXPECT_STATUS(Drain(), kFailedPrecondition, "drain listener \"http\": it drains already");
  End(std::move(connection));
  done_.Get();
  EXPECT_STATUS(Drain(), kFailedPrecondition, "drain listener \"http\": it is drained");
  service_.Stop("test");
  EXPECT_OK(service_.Wait().status);
  EXPECT_FALSE(http_.Drain("test").ok());
}

// ---- Progress

TEST_F(ListenerDrainTest, ProgressCountsWhileTheServiceServesAndWhileItDrains) {
  Start();
  Ticket job = service_.Enter("job");
  Client client(http_.address());
  Connection connection = at_http_.Get();
  connection.ticket.SetBusy(false);
  DrainProgress progress = service_.Progress();
  EXPECT_EQ(progress.state, "serving");
  EXPECT_EQ(progress.now.total, 2);
  EXPECT_EQ(progress.now.by_kind.at("job").busy, 1);
  EXPECT_EQ(progress.now.by_kind.at("http").idle, 1);
  ASSERT_EQ(progress.oldest.size(), 2);
  End(std::move(connection));
  service_.Stop("test");
  events_->Await("drain.progress");
  progress = service_.Progress();
  EXPECT_EQ(progress.state, "waiting");
  EXPECT_EQ(progress.now.total, 1);
  EXPECT_GT(progress.at_most, absl::Seconds(10));
  EXPECT_THAT(ProgressText(progress), HasSubstr("drain (test) waiting: 1 of "));
  job.Reset();
  EXPECT_OK(service_.Wait().status);
  EXPECT_EQ(service_.Progress().state, "drained");
}

TEST_F(ListenerDrainTest, TheLogTellsOfAListenersProgress) {
  Start();
  Client client(http_.address());
  Connection connection = at_http_.Get();
  ASSERT_OK(Drain());
  events_->Await("drain.progress");
  End(std::move(connection));
  EXPECT_TRUE(done_.Get().drained);
}

}  // namespace
}  // namespace zdd
