// Callbacks runs what the embedder registered: on the loop, or through the embedder's executor; one
// at a time, in order, and never after Close().
//
//   callbacks.Run([this] { on_state_(State::kServing); });
//
// Threads: Run on the loop, Close from any thread. Lifetime: tasks that an executor holds beyond
// Close() do nothing.
#ifndef ZDD_SERVICE_CALLBACKS_H_
#define ZDD_SERVICE_CALLBACKS_H_

#include <memory>

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

  // No callback begins any more; waits for one that runs, unless it is this thread's own.
  void Close();

 private:
  struct Gate;
  Task Guarded(Task task);

  Loop* const loop_;
  absl::AnyInvocable<void(Task)> executor_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_CALLBACKS_H_
