// BorrowedLoop is a libuv loop of the test's own, and a Loop on it: all that is posted to it
// happens on the test's thread, and only while the test turns it.
//
//   BorrowedLoop loop;
//   Timer timer(loop.get());
//   ...
//   EXPECT_TRUE(loop.TurnUntil([&] { return fired; }));
//
// Threads: the test's. Lifetime: outlives what uses the loop; nothing may be open on it at its end.
#ifndef TESTS_UNIT_SERVICE_BORROWED_LOOP_H_
#define TESTS_UNIT_SERVICE_BORROWED_LOOP_H_

#include <gtest/gtest.h>
#include <uv.h>

#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "zdd/base/time.h"
#include "zdd/service/loop.h"

namespace zdd {

class BorrowedLoop {
 public:
  BorrowedLoop() {
    EXPECT_EQ(uv_loop_init(&uv_), 0);
    absl::StatusOr<std::unique_ptr<Loop>> loop = Loop::Create(&uv_);
    EXPECT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }
  ~BorrowedLoop() {
    loop_->Close();
    uv_run(&uv_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&uv_), 0) << "something is still open on it";
  }

  Loop* get() const { return loop_.get(); }
  std::shared_ptr<Loop> shared() const { return loop_; }
  uv_loop_t* uv() { return &uv_; }

  // What is due now.
  void Turn() { uv_run(&uv_, UV_RUN_NOWAIT); }
  // False when it did not come about within 20 seconds.
  bool TurnUntil(absl::FunctionRef<bool()> condition) {
    const Instant deadline = MonotonicNow() + absl::Minutes(1);
    Timer look(loop_.get());
    look.StartEvery(absl::Milliseconds(1), [] {});
    while (!condition() && MonotonicNow() < deadline) uv_run(&uv_, UV_RUN_ONCE);
    return condition();
  }

 private:
  uv_loop_t uv_;
  std::shared_ptr<Loop> loop_;
};

// libuv makes a pipe for the whole process with its first loop: for FdAudit, let there be one.
inline void MakeFirstLoop() {
  uv_loop_t loop;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  ASSERT_EQ(uv_loop_close(&loop), 0);
}

}  // namespace zdd

#endif  // TESTS_UNIT_SERVICE_BORROWED_LOOP_H_
