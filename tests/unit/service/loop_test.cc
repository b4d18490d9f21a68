#include "zdd/service/loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;

struct Pipe {
  Pipe() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    reader = OwnedFd(ends[0]);
    writer = OwnedFd(ends[1]);
  }
  OwnedFd reader;
  OwnedFd writer;
};

// A loop on a thread of its own.
class LoopTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFirstLoop(); }
  void SetUp() override { ASSERT_OK_AND_MOVE(loop_, Loop::Create(nullptr)); }

  FdAudit audit_;
  std::unique_ptr<Loop> loop_;
};

TEST_F(LoopTest, RunsWhatEachThreadPostsInItsOrder) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 500;
  std::vector<std::vector<int>> seen(kThreads);  // the loop's
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i, &seen] {
      for (int n = 0; n < kTasks; ++n) loop_->Post([&seen, i, n] { seen[i].push_back(n); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  loop_->Run([&] {
    for (const std::vector<int>& of_thread : seen) {
      ASSERT_EQ(of_thread.size(), kTasks);
      EXPECT_TRUE(std::is_sorted(of_thread.begin(), of_thread.end()));
    }
  });
}

TEST_F(LoopTest, KnowsItsThread) {
  EXPECT_FALSE(loop_->on_loop());
  EXPECT_FALSE(loop_->borrowed());
  bool inside = false;
  loop_->Run([&] { inside = loop_->on_loop(); });
  EXPECT_TRUE(inside);
  std::thread([&] { EXPECT_FALSE(loop_->on_loop()); }).join();
}

TEST_F(LoopTest, ItsThreadTakesNoSignal) {
  loop_->Run([] {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    EXPECT_EQ(sigismember(&blocked, SIGTERM), 1);
    EXPECT_EQ(sigismember(&blocked, SIGUSR2), 1);
  });
  sigset_t ours;
  pthread_sigmask(SIG_SETMASK, nullptr, &ours);
  EXPECT_EQ(sigismember(&ours, SIGTERM), 0);
}

TEST_F(LoopTest, RunOnTheLoopRunsAtOnce) {
  std::vector<int> order;
  loop_->Run([&] {
    loop_->Post([&] { order.push_back(3); });
    loop_->Run([&] { order.push_back(1); });
    order.push_back(2);
  });
  loop_->Run([&] { EXPECT_THAT(order, ElementsAre(1, 2, 3)); });
}

TEST_F(LoopTest, CloseRunsWhatWasPostedBefore) {
  int done = 0;
  for (int i = 0; i < 100; ++i) loop_->Post([&] { ++done; });
  loop_->Close();
  EXPECT_EQ(done, 100);
}

TEST_F(LoopTest, WhatIsPostedAfterCloseIsDropped) {
  auto held = std::make_shared<int>(0);
  auto post = loop_->poster();
  loop_->Close();
  loop_->Close();
  loop_->Post([held] { ++*held; });
  loop_->Run([&] { ++*held; });
  loop_.reset();
  post([held] { ++*held; });
  EXPECT_EQ(*held, 0);
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(LoopTest, WhatATaskPostsWhileTheLoopClosesIsDropped) {
  auto held = std::make_shared<int>(0);
  Pipe gate;
  loop_->Post([&] {
    pollfd polled = {gate.reader.get(), POLLIN, 0};
    poll(&polled, 1, 20000);  // Close() is called meanwhile
    loop_->Post([held] { ++*held; });
  });
  std::thread opener([&] {
    poll(nullptr, 0, 20);
    gate.writer.Reset();
  });
  loop_->Close();
  opener.join();
  loop_.reset();
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(LoopTest, MayBeDestroyedByItsOwnTask) {
  const size_t fds = OpenFds().size();
  std::atomic<bool> destroyed{false};
  loop_->Post([&] {
    loop_.reset();
    destroyed = true;
  });
  while (!destroyed) poll(nullptr, 0, 1);
  // Its thread ends by itself, and frees what it had.
  for (int i = 0; i < 20000 && OpenFds().size() >= fds; ++i) poll(nullptr, 0, 1);
  EXPECT_LT(OpenFds().size(), fds);
}

// A loop of the embedder's; here also the stage of timers and watches.
class BorrowedLoopTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFirstLoop(); }

  FdAudit audit_;
  BorrowedLoop loop_;
  Pipe pipe_;
};

TEST_F(BorrowedLoopTest, RunsTasksWhereTheEmbedderTurnsIt) {
  EXPECT_TRUE(loop_.get()->borrowed());
  std::thread::id ran;
  std::thread([&] { loop_.get()->Post([&] { ran = std::this_thread::get_id(); }); }).join();
  EXPECT_EQ(ran, std::thread::id());
  loop_.Turn();
  EXPECT_EQ(ran, std::this_thread::get_id());
  EXPECT_TRUE(loop_.get()->on_loop());
}

TEST_F(BorrowedLoopTest, RunDoesNotWaitForALoopThatDoesNotTurnYet) {
  bool ran = false;
  loop_.get()->Run([&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST_F(BorrowedLoopTest, RunFromAnotherThreadWaitsForItsTurn) {
  loop_.get()->Post([] {});
  loop_.Turn();
  std::atomic<bool> ran{false};
  std::atomic<bool> returned{false};
  std::thread other([&] {
    loop_.get()->Run([&] { ran = true; });
    EXPECT_TRUE(ran);
    returned = true;
  });
  EXPECT_TRUE(loop_.TurnUntil([&] { return returned.load(); }));
  other.join();
}

TEST_F(BorrowedLoopTest, TheEmbeddersRunEndsOnceItIsClosed) {
  bool ran = false;
  loop_.get()->Post([&] { ran = true; });
  loop_.get()->Post([&] { loop_.get()->Close(); });
  uv_run(loop_.uv(), UV_RUN_DEFAULT);
  EXPECT_TRUE(ran);
}

using TimerTest = BorrowedLoopTest;

TEST_F(TimerTest, FiresOnceAndNotTooSoon) {
  Timer timer(loop_.get());
  int fired = 0;
  const Instant began = MonotonicNow();
  // A turn that takes long leaves libuv with a stale clock.
  loop_.get()->Post([&] {
    poll(nullptr, 0, 30);
    timer.Start(absl::Milliseconds(20), [&] { ++fired; });
  });
  EXPECT_TRUE(loop_.TurnUntil([&] { return fired > 0; }));
  EXPECT_GE(MonotonicNow() - began, absl::Milliseconds(49));
  EXPECT_FALSE(timer.active());
  loop_.Turn();
  EXPECT_EQ(fired, 1);
}

TEST_F(TimerTest, StartAndCancelForgetWhatWasToCome) {
  Timer timer(loop_.get());
  Timer after(loop_.get());
  std::vector<int> fired;
  timer.Start(absl::Milliseconds(1), [&] { fired.push_back(1); });
  timer.Start(absl::Milliseconds(2), [&] { fired.push_back(2); });
  after.Start(absl::Milliseconds(10), [&] { fired.push_back(3); });
  EXPECT_TRUE(loop_.TurnUntil([&] { return fired.size() == 2; }));
  EXPECT_THAT(fired, ElementsAre(2, 3));
  timer.Start(absl::Milliseconds(1), [&] { fired.push_back(4); });
  timer.Cancel();
  EXPECT_FALSE(timer.active());
  timer.Start(absl::InfiniteDuration(), [&] { fired.push_back(5); });
  EXPECT_FALSE(timer.active());
  after.Start(absl::Milliseconds(10), [&] { fired.push_back(6); });
  EXPECT_TRUE(loop_.TurnUntil([&] { return fired.back() == 6; }));
  EXPECT_THAT(fired, ElementsAre(2, 3, 6));
}

TEST_F(TimerTest, MayBeStartedAnewOrDestroyedByItsCallback) {
  auto timer = std::make_unique<Timer>(loop_.get());
  int fired = 0;
  std::function<void()> again = [&] {
    if (++fired == 3) return timer.reset();
    timer->Start(absl::ZeroDuration(), again);
  };
  timer->Start(absl::ZeroDuration(), again);
  EXPECT_TRUE(loop_.TurnUntil([&] { return timer == nullptr; }));
  EXPECT_EQ(fired, 3);
}

TEST_F(TimerTest, FiresAgainAndAgainUntilItIsDestroyed) {
  int fired = 0;
  {
    Timer timer(loop_.get());
    timer.StartEvery(absl::Milliseconds(1), [&] { ++fired; });
    EXPECT_TRUE(loop_.TurnUntil([&] { return fired >= 3; }));
    EXPECT_TRUE(timer.active());
  }
  const int before = fired;
  poll(nullptr, 0, 5);
  loop_.Turn();
  EXPECT_EQ(fired, before);
}

using WatchTest = BorrowedLoopTest;

TEST_F(WatchTest, CallsBackAsLongAsThereIsSomethingToRead) {
  int told = 0;
  Watch watch(loop_.get(), pipe_.reader.get(), Watch::kReadable, [&] { ++told; });
  ASSERT_TRUE(watch.ok());
  loop_.Turn();
  EXPECT_EQ(told, 0);
  ASSERT_EQ(write(pipe_.writer.get(), "x", 1), 1);
  EXPECT_TRUE(loop_.TurnUntil([&] { return told >= 3; }));
  char byte;
  ASSERT_EQ(read(pipe_.reader.get(), &byte, 1), 1);
  const int before = told;
  loop_.Turn();
  EXPECT_EQ(told, before);
}

TEST_F(WatchTest, WatchesForWhatItIsToldTo) {
  int told = 0;
  Watch watch(loop_.get(), pipe_.writer.get(), Watch::kReadable, [&] { ++told; });
  loop_.Turn();
  EXPECT_EQ(told, 0);
  watch.SetEvents(Watch::kWritable);
  EXPECT_TRUE(loop_.TurnUntil([&] { return told > 0; }));
  watch.SetEvents(Watch::kReadable);
  const int before = told;
  loop_.Turn();
  EXPECT_EQ(told, before);
}

// libuv stops a watch on POLLERR.
TEST_F(WatchTest, GoesOnAfterAnError) {
  int told = 0;
  Watch watch(loop_.get(), pipe_.writer.get(), Watch::kReadable, [&] { ++told; });
  pipe_.reader.Reset();
  EXPECT_TRUE(loop_.TurnUntil([&] { return told >= 3; }));
}

TEST_F(WatchTest, MayBeDestroyedByItsCallbackWithItsDescriptor) {
  ASSERT_EQ(write(pipe_.writer.get(), "x", 1), 1);
  int told = 0;
  std::unique_ptr<Watch> watch;
  watch = std::make_unique<Watch>(loop_.get(), pipe_.reader.get(), Watch::kReadable, [&] {
    ++told;
    watch.reset();
    pipe_.reader.Reset();
  });
  EXPECT_TRUE(loop_.TurnUntil([&] { return told > 0; }));
  // The number is somebody else's now, and is watched anew.
  Pipe next;
  ASSERT_EQ(write(next.writer.get(), "x", 1), 1);
  int next_told = 0;
  Watch next_watch(loop_.get(), next.reader.get(), Watch::kReadable, [&] { ++next_told; });
  EXPECT_TRUE(loop_.TurnUntil([&] { return next_told > 0; }));
  EXPECT_EQ(told, 1);
}

TEST_F(WatchTest, WhatCannotBeWatchedNeverCallsBack) {
  OwnedFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));  // epoll_ctl(2): EPERM
  Watch watch(loop_.get(), file.get(), Watch::kReadable, [] { ADD_FAILURE(); });
  EXPECT_FALSE(watch.ok());
  watch.SetEvents(Watch::kWritable);
  loop_.Turn();
}

}  // namespace
}  // namespace zdd
