// Loop is the one thread on which a service decides: a libuv loop, on a thread of its own or the
// embedder's.
//
//   absl::StatusOr<std::unique_ptr<Loop>> loop = Loop::Create(nullptr);
//   (*loop)->Post([] { ... });                                   // from any thread
//   Timer timer(loop->get());
//   timer.Start(absl::Milliseconds(100), [] { ... });            // on the loop
//   Watch watch(loop->get(), fd, Watch::kReadable, [] { ... });
//
// Threads: Post, Run and on_loop from any thread, all else on the loop.
// Lifetime: timers and watches are cancelled by destruction and never call back after it. The loop
// outlives them. Close() ends a loop of its own thread after what was posted before has run; on the
// embedder's loop it closes zdd's handle, which takes one more turn.
#ifndef ZDD_SERVICE_LOOP_H_
#define ZDD_SERVICE_LOOP_H_

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "zdd/base/mutex.h"

struct uv_loop_s;
struct uv_async_s;
struct uv_timer_s;
struct uv_poll_s;

namespace zdd {

using Task = absl::AnyInvocable<void()>;

class Loop {
 public:
  // `borrowed` null: a thread and a loop of its own. Else it must be called on the borrowed loop's
  // thread, or before that runs. Errors: ResourceExhausted (threads, fds).
  static absl::StatusOr<std::unique_ptr<Loop>> Create(uv_loop_s* borrowed);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs `task` on the loop, soon, in order. After Close() it is dropped.
  void Post(Task task);

  // Post() as a value, for what may outlive the loop: it then drops the task.
  std::function<void(Task)> poster();

  // Runs `task` on the loop and waits for it; at once if this is the loop, or if the embedder's
  // loop does not turn yet.
  void Run(absl::FunctionRef<void()> task);

  // Ends it; joins the own thread unless this is it (it then ends by itself).
  void Close();

  bool on_loop() const;
  bool borrowed() const { return thread_ == nullptr; }
  uv_loop_s* uv() const { return uv_; }

 private:
  struct Inbox;

  Loop() = default;
  absl::Status Init(uv_loop_s* borrowed);
  static void OnAsync(uv_async_s* async);

  uv_loop_s* uv_ = nullptr;
  std::shared_ptr<Inbox> inbox_;  // shared with the async handle, which closes later than this
  std::unique_ptr<std::thread> thread_;
};

// Calls back once, or again and again. Cancelled by destruction, Cancel() and the next Start().
class Timer {
 public:
  explicit Timer(Loop* loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Durations are rounded up to milliseconds; InfiniteDuration() never fires.
  void Start(absl::Duration delay, std::function<void()> callback);
  void StartEvery(absl::Duration period, std::function<void()> callback);
  void Cancel();
  bool active() const;

 private:
  struct Handle;
  Handle* handle_;
};

// Calls back while `fd` is readable or writable (level-triggered). Borrows the fd and leaves the
// kernel's set before the destructor returns, so that the fd can be closed then.
class Watch {
 public:
  enum Events { kReadable = 1, kWritable = 2 };
  Watch(Loop* loop, int fd, int events, std::function<void()> callback);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Watches for these from now on. libuv has one watch for an fd, so one that reads and writes
  // changes this one.
  void SetEvents(int events);

  // False if the kernel would not watch it (epoll(7): ENOSPC, ENOMEM): it then never calls back.
  bool ok() const { return ok_; }

 private:
  struct Handle;
  Handle* handle_;
  bool ok_;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_LOOP_H_
