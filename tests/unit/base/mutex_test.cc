#include "zdd/base/mutex.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "zdd/base/time.h"

namespace zdd {
namespace {

TEST(MutexTest, OneThreadAtATimeIsInside) {
  Mutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10000; ++j) {
        MutexLock lock(&mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 40000);
}

TEST(MutexTest, AWaiterSeesWhatWasDoneBeforeTheSignal) {
  Mutex mutex;
  CondVar changed;
  int stage = 0;
  std::thread other([&] {
    MutexLock lock(&mutex);
    while (stage != 1) changed.Wait(&mutex);
    stage = 2;
    changed.SignalAll();
  });
  {
    MutexLock lock(&mutex);
    stage = 1;
    changed.Signal();
    while (stage != 2) changed.Wait(&mutex);
  }
  other.join();
  EXPECT_EQ(stage, 2);
}

TEST(MutexTest, AWaitThatNobodyEndsTimesOutWithTheMutexHeld) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(&mutex);
  const Instant before = MonotonicNow();
  while (never.WaitFor(&mutex, absl::Milliseconds(10))) {
  }
  EXPECT_GE(MonotonicNow() - before, absl::Milliseconds(10));
}

TEST(MutexTest, AWaitWithATimeoutEndsWithTheSignal) {
  Mutex mutex;
  CondVar changed;
  bool done = false;
  std::thread other([&] {
    MutexLock lock(&mutex);
    done = true;
    changed.Signal();
  });
  {
    MutexLock lock(&mutex);
    while (!done) EXPECT_TRUE(changed.WaitFor(&mutex, absl::Minutes(1)));
  }
  other.join();
}

TEST(TimeTest, TimeNeverGoesBackAndIsThatOfTheWholeBoot) {
  const Instant first = MonotonicNow();
  EXPECT_GT(first, absl::ZeroDuration());
  EXPECT_GE(MonotonicNow(), first);
}

}  // namespace
}  // namespace zdd
