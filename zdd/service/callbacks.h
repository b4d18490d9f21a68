// Callbacks runs what the embedder registered: on the loop, or through the embedder's executor; one
// at a time, in order, and never after Close().
//
//   callbacks.Run([this] { on_state_(State::kServing); });
//
// Where many come at once, Together hands them to the executor as one task, so that whoever sleeps
// there is woken once and not by each:
//
//   Callbacks::Together together(&callbacks);
//   for (Connection& connection : batch) callbacks.Run(...);
//
// Threads: Run and Together on the loop, Close from any thread. Lifetime: tasks that an executor
// holds beyond Close() do nothing.
#ifndef ZDD_SERVICE_CALLBACKS_H_
#define ZDD_SERVICE_CALLBACKS_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "zdd/service/loop.h"

namespace zdd {

class Callbacks {
 public:
  // `executor` may be null.
  Callbacks(Loop* loop, absl::AnyInvocable<void(Task)> executor);

  // Soon; never inside this call.
  void Run(Task task);

  // As Run, but without an executor at once. For calls whose caller is the loop itself, in a state
  // in which anything may happen.
  void RunNow(Task task);

  // While one lives, what Run and RunNow would give to the executor is collected; the end of the
  // outermost gives it.
  class Together;

  // No callback begins any more; waits for one that runs, unless it is this thread's own.
  void Close();

 private:
  struct Gate;
  Task Guarded(Task task);
  void Give(Task task);
  void GiveCollected();

  Loop* const loop_;
  absl::AnyInvocable<void(Task)> executor_;
  std::shared_ptr<Gate> gate_;
  int together_ = 0;  // how many of them live
  std::vector<Task> collected_;
};

class Callbacks::Together {
 public:
  explicit Together(Callbacks* callbacks) : callbacks_(callbacks) { ++callbacks_->together_; }
  ~Together() {
    if (--callbacks_->together_ == 0) callbacks_->GiveCollected();
  }
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;

 private:
  Callbacks* const callbacks_;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_CALLBACKS_H_
