// The front door, within one process and one generation: on which thread callbacks run.
#include <gtest/gtest.h>
#include <poll.h>
#include <uv.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/service/front_door_fixture.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/mutex.h"
#include "zdd/service.h"

namespace zdd {
namespace {

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

TEST_F(FrontDoorTest, StartAfterItsEndIsAnsweredOnTheEmbeddersLoopToo) {
  uv_loop_t loop;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  {
    Options options = MakeOptions();
    options.loop = &loop;
    ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
    service.Stop("too soon");
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_STATUS(service.Start(), kFailedPrecondition, "Start(): the service has ended");
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

TEST_F(FrontDoorTest, AnExecutorThatDropsTheReadinessChecksFailsTheStart) {
  Options options = MakeOptions();
  options.executor = [](Task) {};
  ASSERT_OK_AND_MOVE(Service service, Service::Create(std::move(options)));
  ASSERT_OK(service.AddReadinessCheck("db", [] { return absl::OkStatus(); }));
  EXPECT_STATUS(service.Start(), kCancelled, "options.executor dropped them");
  EXPECT_EQ(service.Wait().exit_code(), 1);
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

}  // namespace
}  // namespace zdd
