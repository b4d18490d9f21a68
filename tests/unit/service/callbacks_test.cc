#include "zdd/service/callbacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/fd_audit.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CallbacksTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFirstLoop(); }

  FdAudit audit_;
  BorrowedLoop loop_;
  std::vector<int> ran_;
  std::deque<Task> handed_;  // to the executor
};

class OnLoopTest : public CallbacksTest {
 protected:
  Callbacks callbacks_{loop_.get(), {}};
};

class ThroughExecutorTest : public CallbacksTest {
 protected:
  void RunHanded() {
    for (Task& task : std::exchange(handed_, {})) task();
  }
  Callbacks callbacks_{loop_.get(), [this](Task task) { handed_.push_back(std::move(task)); }};
};

TEST_F(OnLoopTest, RunSoonInOrderAndNeverInsideTheCall) {
  loop_.get()->Post([&] {
    callbacks_.Run([&] {
      callbacks_.Run([&] { ran_.push_back(4); });
      ran_.push_back(2);
    });
    callbacks_.Run([&] { ran_.push_back(3); });
    ran_.push_back(1);
  });
  EXPECT_TRUE(loop_.TurnUntil([&] { return ran_.size() == 4; }));
  EXPECT_THAT(ran_, ElementsAre(1, 2, 3, 4));
}

TEST_F(OnLoopTest, RunNowRunsInsideTheCall) {
  callbacks_.RunNow([&] { ran_.push_back(1); });
  EXPECT_THAT(ran_, ElementsAre(1));
}

TEST_F(OnLoopTest, NothingBeginsAfterClose) {
  callbacks_.Run([&] { ran_.push_back(1); });
  callbacks_.Close();
  callbacks_.RunNow([&] { ran_.push_back(2); });
  loop_.Turn();
  EXPECT_THAT(ran_, ElementsAre());
}

TEST_F(OnLoopTest, MayBeClosedByACallback) {
  callbacks_.Run([&] {
    callbacks_.Close();
    ran_.push_back(1);
  });
  callbacks_.Run([&] { ran_.push_back(2); });
  EXPECT_TRUE(loop_.TurnUntil([&] { return !ran_.empty(); }));
  loop_.Turn();
  EXPECT_THAT(ran_, ElementsAre(1));
}

// A callback of a borrowed loop may turn that loop (a modal dialog): another one then runs inside.
TEST_F(OnLoopTest, MayBeClosedByACallbackWithinACallback) {
  callbacks_.Run([&] {
    callbacks_.RunNow([&] { callbacks_.Close(); });
    callbacks_.RunNow([&] { ran_.push_back(1); });
    ran_.push_back(2);
  });
  EXPECT_TRUE(loop_.TurnUntil([&] { return !ran_.empty(); }));
  EXPECT_THAT(ran_, ElementsAre(2));
}

TEST_F(ThroughExecutorTest, ItGetsAllInOrderAndRunsThemWhenItLikes) {
  callbacks_.Run([&] { ran_.push_back(1); });
  callbacks_.RunNow([&] { ran_.push_back(2); });
  loop_.Turn();
  EXPECT_THAT(ran_, ElementsAre());
  RunHanded();
  EXPECT_THAT(ran_, ElementsAre(1, 2));
}

TEST_F(ThroughExecutorTest, WhatIsRunTogetherIsOneTask) {
  {
    Callbacks::Together outer(&callbacks_);
    callbacks_.Run([&] { ran_.push_back(1); });
    {
      Callbacks::Together inner(&callbacks_);
      callbacks_.RunNow([&] { ran_.push_back(2); });
    }
    EXPECT_THAT(handed_, IsEmpty());
  }
  EXPECT_THAT(handed_, SizeIs(1));
  RunHanded();
  EXPECT_THAT(ran_, ElementsAre(1, 2));
}

TEST_F(ThroughExecutorTest, CloseInsideOneStopsTheRestOfItsTask) {
  {
    Callbacks::Together together(&callbacks_);
    callbacks_.Run([&] {
      ran_.push_back(1);
      callbacks_.Close();
    });
    callbacks_.Run([&] { ran_.push_back(2); });
  }
  RunHanded();
  EXPECT_THAT(ran_, ElementsAre(1));
}

TEST_F(ThroughExecutorTest, WhatItHoldsBeyondCloseDoesNothing) {
  callbacks_.Run([&] { ran_.push_back(1); });
  callbacks_.Close();
  callbacks_.Run([&] { ran_.push_back(2); });
  RunHanded();
  EXPECT_THAT(ran_, ElementsAre());
}

TEST_F(ThroughExecutorTest, ATaskThatItDropsCountsAsDone) {
  auto held = std::make_shared<int>(0);
  callbacks_.Run([held] { ++*held; });
  handed_.clear();
  EXPECT_EQ(held.use_count(), 1);
  callbacks_.Run([&] { ran_.push_back(1); });
  RunHanded();
  EXPECT_THAT(ran_, ElementsAre(1));
  callbacks_.Close();  // does not wait for it
}

TEST_F(ThroughExecutorTest, WhatItHoldsMayOutliveTheCallbacks) {
  {
    Callbacks callbacks(loop_.get(), [this](Task task) { handed_.push_back(std::move(task)); });
    callbacks.Run([&] { ran_.push_back(1); });
    callbacks.Close();
  }
  RunHanded();
  EXPECT_THAT(ran_, ElementsAre());
}

TEST_F(ThroughExecutorTest, CloseWaitsForOneThatRunsElsewhere) {
  std::atomic<bool> runs{false};
  std::atomic<bool> closing{false};
  std::atomic<bool> done{false};
  callbacks_.Run([&] {
    runs = true;
    while (!closing) poll(nullptr, 0, 1);
    poll(nullptr, 0, 20);  // Close() would have returned by now
    done = true;
  });
  std::thread worker([&] { RunHanded(); });
  while (!runs) poll(nullptr, 0, 1);
  closing = true;
  callbacks_.Close();
  EXPECT_TRUE(done);
  worker.join();
}

}  // namespace
}  // namespace zdd
