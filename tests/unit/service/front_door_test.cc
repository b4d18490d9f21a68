// The front door, within one process and one generation: what each call answers, and when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/mutex.h"
#include "zdd/service.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A value that another thread will bring.
template <typename T>
class Awaited {
 public:
  void Set(T value) {
    MutexLock lock(&mutex_);
    value_ = std::move(value);
    changed_.SignalAll();
  }
  T Get() {
    MutexLock lock(&mutex_);
    while (!value_.has_value()) changed_.Wait(&mutex_);
    T value = *std::move(value_);
    value_.reset();
    return value;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  absl::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

std::vector<std::string> Files(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    names.push_back(entry.path().filename());
  return names;
}

// A client's end of a connection.
class Client {
 public:
  explicit Client(const Address& address)
      : fd_(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    connected_ = connect(fd_.get(), address.sockaddr(), address.size()) == 0;
  }
  bool connected() const { return connected_; }
  // Waits for the end of the connection; whatever comes before is dropped.
  bool ReadToEnd() {
    char byte;
    ssize_t size;
    while ((size = recv(fd_.get(), &byte, 1, 0)) > 0) {
    }
    return size == 0;
  }
  int fd() const { return fd_.get(); }

 private:
  OwnedFd fd_;
  bool connected_ = false;
};

// The names of all events so far. Apart from the fixture, since it outlives that if a service does.
class EventNames {
 public:
  void Add(absl::string_view name) {
    MutexLock lock(&mutex_);
    names_.emplace_back(name);
  }
  bool Has(absl::string_view name) {
    MutexLock lock(&mutex_);
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }

 private:
  Mutex mutex_;
  std::vector<std::string> names_ ABSL_GUARDED_BY(mutex_);
};

class FrontDoorTest : public ::testing::Test {
 protected:
  // libuv makes a pipe for the whole process with its first loop.
  static void SetUpTestSuite() {
    uv_loop_t loop;
    ASSERT_EQ(uv_loop_init(&loop), 0);
    ASSERT_EQ(uv_loop_close(&loop), 0);
  }

  Options MakeOptions() {
    Options options;
    options.name = "test";
    options.version = "1.0";
    options.runtime_dir = dir_.File("run");
    options.drain.spread = absl::ZeroDuration();
    options.drain.grace = absl::ZeroDuration();
    options.drain.deadline = absl::Seconds(20);
    options.drain.cut_spread = absl::ZeroDuration();
    options.drain.linger = absl::ZeroDuration();
    options.log = [events = events_](const LogEvent& event) { events->Add(event.name); };
    return options;
  }

  FdAudit audit_;
  TempDir dir_;
  const std::shared_ptr<EventNames> events_ = std::make_shared<EventNames>();
};

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

TEST_F(FrontDoorTest, StatesAreToldInOrder) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  std::vector<State> states;
  ASSERT_OK(service.OnState([&](State state) { states.push_back(state); }));
  ASSERT_OK(service.Start());
  service.Stop("test");
  service.Wait();
  EXPECT_THAT(states, ElementsAre(State::kServing, State::kDraining, State::kDrained));
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

TEST_F(FrontDoorTest, RunsOnTheEmbeddersLoopWhichThenEnds) {
  uv_loop_t loop;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  {
    Options options = MakeOptions();
    options.loop = &loop;
    ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
    ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
    const std::thread::id here = std::this_thread::get_id();
    int accepted = 0;
    ASSERT_OK(http.OnConnection([&](Connection) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      ++accepted;
      service.Stop("enough");
    }));
    ASSERT_OK(service.OnState([&](State state) {
      if (state != State::kServing) return;
      EXPECT_TRUE(Client(http.address()).connected());
    }));
    ASSERT_OK(service.Start());
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_EQ(accepted, 1);
    EXPECT_OK(service.Wait().status);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  EXPECT_EQ(uv_loop_close(&loop), 0);
}

TEST_F(FrontDoorTest, CallbacksGoThroughTheExecutorInOrder) {
  std::vector<Task> tasks;
  Mutex mutex;
  CondVar changed;
  bool done = false;
  std::thread worker([&] {
    for (;;) {
      Task task;
      {
        MutexLock lock(&mutex);
        while (tasks.empty() && !done) changed.Wait(&mutex);
        if (tasks.empty()) return;
        task = std::move(tasks.front());
        tasks.erase(tasks.begin());
      }
      task();
    }
  });
  const std::thread::id there = worker.get_id();
  {
    Options options = MakeOptions();
    options.executor = [&](Task task) {
      MutexLock lock(&mutex);
      tasks.push_back(std::move(task));
      changed.Signal();
    };
    ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
    ASSERT_OK_AND_MOVE(Listener http, service.Listen("http", "tcp://127.0.0.1:0"));
    Awaited<bool> accepted;
    ASSERT_OK(
        http.OnConnection([&](Connection) { accepted.Set(std::this_thread::get_id() == there); }));
    ASSERT_OK(service.AddReadinessCheck("thread", [&] {
      return std::this_thread::get_id() == there ? absl::OkStatus()
                                                 : absl::InternalError("wrong thread");
    }));
    ASSERT_OK(service.Start());
    Client client(http.address());
    EXPECT_TRUE(accepted.Get());
    service.Stop("test");
    EXPECT_OK(service.Wait().status);
  }
  {
    MutexLock lock(&mutex);
    done = true;
    changed.Signal();
  }
  worker.join();
}

TEST_F(FrontDoorTest, AServiceMayBeDestroyedByItsOwnCallback) {
  auto service = std::make_unique<Service>();
  ASSERT_OK_AND_MOVE(*service, Service::Create(MakeOptions()));
  ASSERT_OK_AND_MOVE(Listener http, service->Listen("http", "tcp://127.0.0.1:0"));
  Awaited<bool> destroyed;
  ASSERT_OK(http.OnConnection([&](Connection) {
    service.reset();
    destroyed.Set(true);
  }));
  ASSERT_OK(service->Start());
  Client client(http.address());
  destroyed.Get();
  EXPECT_TRUE(client.ReadToEnd());
  // Its thread ends by itself: wait for its listener to go.
  for (int i = 0; i < 5000 && Client(http.address()).connected(); ++i) poll(nullptr, 0, 1);
}

TEST_F(FrontDoorTest, BlockingCallsOnTheLoopAreRefused) {
  ASSERT_OK_AND_MOVE(Service service, Service::Create(MakeOptions()));
  Awaited<absl::Status> waited;
  ASSERT_OK(service.OnState([&](State state) {
    if (state == State::kServing) waited.Set(service.Wait().status);
  }));
  ASSERT_OK(service.Start());
  EXPECT_STATUS(waited.Get(), kFailedPrecondition, "on zdd's loop");
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
