// The front door, within one process and one generation: what each call answers, and when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/service/front_door_fixture.h"
#include "tests/util/status_matchers.h"
#include "zdd/service.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(FrontDoorTest, WithoutStartEverythingGoesAway) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK(service.Listen("http", "tcp://127.0.0.1:0"));
}

TEST_F(FrontDoorTest, EmptyHandlesAnswer) {
  Service service;
  EXPECT_STATUS(service.Listen("http", "tcp://127.0.0.1:0"), kFailedPrecondition, "Listen(): this");
  EXPECT_STATUS(service.AddReadinessCheck("x", [] { return absl::OkStatus(); }),
                kFailedPrecondition, "is empty");
  EXPECT_STATUS(service.OnState([](State) {}), kFailedPrecondition, "is empty");
  EXPECT_STATUS(service.Start(), kFailedPrecondition, "the one that Create() gave");
  EXPECT_STATUS(service.RollBack("x"), kFailedPrecondition, "is empty");
  EXPECT_STATUS(service.Release(), kFailedPrecondition, "is empty");
  EXPECT_STATUS(service.Wait().status, kFailedPrecondition, "is empty");
  absl::Status upgraded;
  service.Upgrade([&](const Report& report) { upgraded = report.status; });
  EXPECT_STATUS(upgraded, kFailedPrecondition, "is empty");
  service.Stop("x");
  EXPECT_FALSE(service.Enter("job").valid());
  EXPECT_EQ(service.state(), State::kDrained);
  EXPECT_FALSE(service.ready());
  EXPECT_EQ(service.generation(), 0);

  Listener listener;
  EXPECT_FALSE(listener.Accept().has_value());
  EXPECT_STATUS(listener.OnConnection([](Connection) {}), kFailedPrecondition, "is empty");
  EXPECT_STATUS(listener.AcceptWith(nullptr), kFailedPrecondition, "the one that Listen() gave");
  EXPECT_FALSE(listener.Enter().valid());
  listener.Pause();
  listener.Resume();
  EXPECT_EQ(listener.address(), Address());
  EXPECT_EQ(listener.name(), "");
}

TEST_F(FrontDoorTest, CallsInTheWrongStateAreAnswered) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
  EXPECT_STATUS(service.Listen("http", "tcp://127.0.0.1:0"), kAlreadyExists,
                "listener \"http\" listens already");
  EXPECT_STATUS(service.Listen("a b", "tcp://127.0.0.1:0"), kInvalidArgument,
                "listener name \"a b\"");
  EXPECT_STATUS(service.Listen("x", "tcp://127.0.0.1"), kInvalidArgument, "listener \"x\"");
  EXPECT_STATUS(service.Listen("x", "tcp://127.0.0.1:0",
                               [] {
                                 ListenOptions options;
                                 options.backlog = 0;
                                 return options;
                               }()),
                kInvalidArgument, "backlog is 0");
  EXPECT_STATUS(service.RollBack("x"), kFailedPrecondition, "no handoff");
  EXPECT_STATUS(service.Release(), kFailedPrecondition, "not in standby");
  ASSERT_OK(http.OnConnection([](Connection) {}));
  EXPECT_STATUS(http.OnConnection([](Connection) {}), kFailedPrecondition, "already");
  EXPECT_STATUS(http.AcceptWith(nullptr), kInvalidArgument, "null");
  ASSERT_OK(service.Start());
  EXPECT_STATUS(service.Start(), kFailedPrecondition, "already");
  EXPECT_STATUS(service.Listen("late", "tcp://127.0.0.1:0"), kFailedPrecondition, "before Start()");
  EXPECT_STATUS(service.AddReadinessCheck("late", [] { return absl::OkStatus(); }),
                kFailedPrecondition, "before Start()");
  EXPECT_STATUS(service.OnState([](State) {}), kFailedPrecondition, "before Start()");
  EXPECT_FALSE(http.Accept().has_value());
  EXPECT_TRUE(events_->Has("listener.misused"));
  service.Stop("test");
  service.Wait();
  Awaited<Report> upgraded;
  service.Upgrade([&](const Report& report) { upgraded.Set(report); });
  EXPECT_STATUS(upgraded.Get().status, kFailedPrecondition, "drained");
}

TEST_F(FrontDoorTest, ASecondServiceOfTheNameInOneProcessIsRefused) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  EXPECT_STATUS(Service::Create(MakeOptions()), kAlreadyExists, "this process has one already");
  ASSERT_OK(service.Start());
}

TEST_F(FrontDoorTest, EachWrongOptionIsNamed) {
  struct Case {
    std::function<void(Options*)> spoil;
    const char* part;
  };
  const Case cases[] = {
      {[](Options* o) { o->name = ""; }, "options.name"},
      {[](Options* o) { o->name = "Upper"; }, "options.name"},
      {[](Options* o) { o->version = "a\nb"; }, "options.version"},
      {[](Options* o) { o->silence = absl::Milliseconds(100); },
       "options.silence is 100ms, want 1s"},
      {[](Options* o) { o->standby = absl::InfiniteDuration(); }, "options.standby"},
      {[](Options* o) { o->ready_timeout = absl::ZeroDuration(); }, "options.ready_timeout"},
      {[](Options* o) { o->drain.grace = -absl::Seconds(1); }, "options.drain"},
      {[](Options* o) { o->pid_file = "x.pid"; },
       "options.pid_file is \"x.pid\": want an absolute path"},
      {[](Options* o) { o->pid_file = o->runtime_dir + "/no/x.pid"; }, "; mkdir -p "},
      {[](Options* o) { o->upgrade_signal = SIGKILL; },
       "options.upgrade_signal: signal 9 (SIGKILL): nobody can catch it; take SIGUSR2"},
      {[](Options* o) {
         o->stop_signals = {SIGTERM, SIGSEGV};
       },
       "options.stop_signals: signal 11 (SIGSEGV)"},
      {[](Options* o) {
         o->stop_signals = {SIGTERM, SIGTERM};
       },
       "options.stop_signals has signal 15 (SIGTERM) twice"},
      {[](Options* o) {
         o->upgrade_signal = SIGUSR2;
         o->stop_signals = {SIGUSR2};
       },
       "options.stop_signals has signal 12 (SIGUSR2), which is options.upgrade_signal too"},
      {[](Options* o) { o->draining_generations_max = 0; }, "draining_generations_max"},
      {[](Options* o) { o->command = {""}; }, "options.command"},
      {[](Options* o) { o->working_directory = "current"; },
       "options.working_directory is \"current\", want an absolute path"},
      {[](Options* o) { o->runtime_dir = "relative"; }, "relative"},
  };
  for (const Case& each : cases) {
    Options options = MakeOptions();
    each.spoil(&options);
    EXPECT_STATUS(Service::Create(std::move(options)), kInvalidArgument, each.part);
  }
}

TEST_F(FrontDoorTest, SignalsThatCannotBeTakenAreNamedByTheirOptions) {
  std::vector<std::unique_ptr<Service>> services;
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    Options options = MakeOptions();
    options.name = absl::StrCat("test-", i);
    absl::StatusOr<Service> service = Service::Create(std::move(options));
    status = service.status();
    if (service.ok()) services.push_back(std::make_unique<Service>(*std::move(service)));
  }
  EXPECT_STATUS(status, kResourceExhausted,
                "options.upgrade_signal and options.stop_signals: take signals: more than 16");
}

TEST_F(FrontDoorTest, FailHasNothingToSayOfSuccess) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Fail(absl::OkStatus()), 0);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Fail(absl::NotFoundError("x")), 1);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "zdd: x\n");
}

TEST_F(FrontDoorTest, ARefusedUpgradeTellsWhoseAndWhy) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  ASSERT_OK(service.Start());
  service.Stop("test");
  service.Wait();
  Awaited<Report> upgraded;
  service.Upgrade([&](const Report& report) { upgraded.Set(report); });
  EXPECT_EQ(upgraded.Get().ToText(),
            absl::StrCat("generation 1 (pid ", getpid(),
                         ", 1.0) failed: upgrade: this generation is drained"));
}

TEST_F(FrontDoorTest, AFailedReadinessCheckEndsTheStartAndIsNamed) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  std::atomic<int> asked{0};
  ASSERT_OK(service.AddReadinessCheck(
      "warm", [&] { return ++asked < 3 ? absl::UnavailableError("loading") : absl::OkStatus(); }));
  ASSERT_OK(service.AddReadinessCheck("db", [] { return absl::InternalError("no route"); }));
  EXPECT_STATUS(service.Start(), kInternal, "readiness check \"db\": no route");
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(service.Wait().exit_code(), 1);
}

TEST_F(FrontDoorTest, AFirstGenerationThatDoesNotGetReadyInTimeFails) {
  Options options = MakeOptions();
  options.ready_timeout = absl::Milliseconds(60);
  ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
  poll(nullptr, 0, 100);  // what main() takes before Start() does not count
  ASSERT_OK(service.AddReadinessCheck("db", [] { return absl::UnavailableError("connecting"); }));
  EXPECT_STATUS(service.Start(), kDeadlineExceeded, "within 60ms (options.ready_timeout");
  EXPECT_EQ(service.Wait().exit_code(), 1);
}

TEST_F(FrontDoorTest, StatesAreToldInOrder) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  std::vector<State> states;
  ASSERT_OK(service.OnState([&](State state) { states.push_back(state); }));
  ASSERT_OK(service.Start());
  service.Stop("test");
  service.Wait();
  EXPECT_THAT(states, ElementsAre(State::kServing, State::kDraining, State::kDrained));
}

TEST_F(FrontDoorTest, AStopSignalStopsAndItsOldActionComesBack) {
  struct sigaction before, after;
  sigaction(SIGUSR1, nullptr, &before);
  {
    Options options = MakeOptions();
    options.stop_signals = {SIGUSR1};
    ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
    ASSERT_OK(service.Start());
    kill(getpid(), SIGUSR1);
    Report report = service.Wait();
    EXPECT_THAT(report.reason, HasSubstr("SIGUSR1"));
  }
  sigaction(SIGUSR1, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

}  // namespace
}  // namespace zdd
