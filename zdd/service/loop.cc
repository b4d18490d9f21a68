#include "zdd/service/loop.h"

#include <sys/eventfd.h>
#include <uv.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/status.h"

namespace zdd {

// What other threads put in and the loop takes out. The async handle keeps it until libuv has
// closed that.
struct Loop::Inbox {
  uv_async_t async;
  std::shared_ptr<Inbox> self;  // held by the handle
  Mutex mutex;
  std::vector<Task> tasks ABSL_GUARDED_BY(mutex);
  bool closed ABSL_GUARDED_BY(mutex) = false;
  std::atomic<std::thread::id>
      thread;  // the loop's, once it turned; read by on_loop() of any thread

  // False when it is closed.
  bool Put(Task task) {
    MutexLock lock(&mutex);
    if (closed) return false;
    tasks.push_back(std::move(task));
    // Under the lock, for two reasons. The handle cannot be closed between the look and the send.
    // And uv_async_send begins with a plain read of its pending flag: by this lock it sees what
    // came before Take(), the clearing of that flag.
    uv_async_send(&async);
    return true;
  }

  std::vector<Task> Take() {
    MutexLock lock(&mutex);
    return std::exchange(tasks, {});
  }
};

namespace {

// What uv_loop_init opens: two pipes, an epoll and an eventfd.
constexpr int kLoopFds = 6;

// The first loop of a process opens a pipe for signals, and aborts if it gets none.
absl::Status CheckFreeFds() {
  OwnedFd probes[kLoopFds];
  for (OwnedFd& probe : probes) {
    probe = OwnedFd(eventfd(0, EFD_CLOEXEC));
    if (!probe.valid()) return ErrnoStatus(errno, "uv_loop_init");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> Loop::Create(uv_loop_s* borrowed) {
  std::unique_ptr<Loop> loop(new Loop);
  if (absl::Status status = loop->Init(borrowed); !status.ok()) return status;
  return loop;
}

absl::Status Loop::Init(uv_loop_s* borrowed) {
  uv_ = borrowed;
  if (uv_ == nullptr) {
    if (absl::Status status = CheckFreeFds(); !status.ok()) return status;
    uv_ = new uv_loop_t;
    if (int error = uv_loop_init(uv_); error != 0) {
      delete std::exchange(uv_, nullptr);
      return ErrnoStatus(-error, "uv_loop_init");
    }
  }
  inbox_ = std::make_shared<Inbox>();
  int error = uv_async_init(uv_, &inbox_->async, &Loop::OnAsync);
  if (error != 0) {
    if (borrowed == nullptr) {
      uv_loop_close(uv_);
      delete std::exchange(uv_, nullptr);
    }
    inbox_.reset();
    return ErrnoStatus(-error, "uv_async_init");
  }
  inbox_->async.data = inbox_.get();
  inbox_->self = inbox_;
  if (borrowed != nullptr) return absl::OkStatus();

  // The thread inherits a mask that blocks all: signals are for the embedder's threads, and zdd's
  // come by fd.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::make_unique<std::thread>([uv = uv_] {
      uv_run(uv, UV_RUN_DEFAULT);  // until the last handle is closed
      uv_loop_close(uv);
      delete uv;
    });
  } catch (const std::system_error& failed) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&inbox_->async),
             [](uv_handle_t* handle) { static_cast<Inbox*>(handle->data)->self.reset(); });
    uv_run(uv_, UV_RUN_DEFAULT);
    uv_loop_close(uv_);
    delete std::exchange(uv_, nullptr);
    inbox_.reset();
    return absl::ResourceExhaustedError(absl::StrCat("start zdd's thread: ", failed.what()));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  inbox_->thread = thread_->get_id();
  return absl::OkStatus();
}

void Loop::OnAsync(uv_async_s* async) {
  auto* inbox = static_cast<Inbox*>(async->data);
  inbox->thread = std::this_thread::get_id();
  std::shared_ptr<Inbox> keep = inbox->self;
  for (Task& task : inbox->Take()) task();
}

void Loop::Post(Task task) {
  if (inbox_ != nullptr) inbox_->Put(std::move(task));
}

std::function<void(Task)> Loop::poster() {
  return [inbox = inbox_](Task task) { inbox->Put(std::move(task)); };
}

void Loop::Run(absl::FunctionRef<void()> task) {
  // A borrowed loop that never turned runs nothing: its embedder is still in main(), on the only
  // thread that matters.
  const std::thread::id loop_thread = inbox_->thread;
  if (on_loop() || loop_thread == std::thread::id()) return task();
  Mutex mutex;
  CondVar done_changed;
  bool done = false;
  bool posted = inbox_->Put([&] {
    task();
    MutexLock lock(&mutex);
    done = true;
    done_changed.Signal();
  });
  if (!posted) return;
  MutexLock lock(&mutex);
  while (!done) done_changed.Wait(&mutex);
}

bool Loop::on_loop() const {
  return inbox_ != nullptr && inbox_->thread.load() == std::this_thread::get_id();
}

void Loop::Close() {
  if (inbox_ == nullptr) return;
  auto close = [](Inbox* inbox) {
    decltype(inbox->tasks) rest;  // somebody may wait for them in Run()
    {
      MutexLock lock(&inbox->mutex);
      if (std::exchange(inbox->closed, true)) return;
      rest.swap(inbox->tasks);
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&inbox->async),
             [](uv_handle_t* handle) { static_cast<Inbox*>(handle->data)->self.reset(); });
    for (Task& task : rest) task();
  };
  const std::thread::id loop_thread = inbox_->thread;
  if (on_loop() || loop_thread == std::thread::id()) {
    close(inbox_.get());
  } else {
    inbox_->Put([inbox = inbox_, close] { close(inbox.get()); });
  }
  if (thread_ != nullptr && thread_->joinable()) {
    if (on_loop()) {
      thread_->detach();
    } else {
      thread_->join();
    }
  }
}

Loop::~Loop() { Close(); }

struct Timer::Handle {
  uv_timer_t timer;
  std::function<void()> callback;
};

namespace {

template <typename Handle>
void CloseHandle(Handle* handle, uv_handle_t* uv) {
  handle->callback = nullptr;
  uv_close(uv, [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
}

uint64_t Milliseconds(absl::Duration delay) {
  if (delay <= absl::ZeroDuration()) return 0;
  return absl::ToInt64Milliseconds(absl::Ceil(delay, absl::Milliseconds(1)));
}

}  // namespace

Timer::Timer(Loop* loop) : handle_(new Handle) {
  uv_timer_init(loop->uv(), &handle_->timer);
  handle_->timer.data = handle_;
}

Timer::~Timer() { CloseHandle(handle_, reinterpret_cast<uv_handle_t*>(&handle_->timer)); }

void Timer::Start(absl::Duration delay, std::function<void()> callback) {
  Cancel();
  if (delay == absl::InfiniteDuration()) return;
  handle_->callback = std::move(callback);
  // libuv caches the time of its last turn, and this may be a long turn: a stale clock would fire
  // too soon.
  uv_update_time(handle_->timer.loop);
  uv_timer_start(
      &handle_->timer,
      [](uv_timer_t* timer) {
        // Moved out first: the callback may start this timer anew, or destroy it.
        std::function<void()> callback = std::move(static_cast<Handle*>(timer->data)->callback);
        if (callback) callback();
      },
      Milliseconds(delay), 0);
}

void Timer::StartEvery(absl::Duration period, std::function<void()> callback) {
  handle_->callback = std::move(callback);
  uv_update_time(handle_->timer.loop);
  uv_timer_start(
      &handle_->timer,
      [](uv_timer_t* timer) {
        std::function<void()> callback = static_cast<Handle*>(timer->data)->callback;
        if (callback) callback();
      },
      Milliseconds(period), Milliseconds(period));
}

void Timer::Cancel() {
  uv_timer_stop(&handle_->timer);
  handle_->callback = nullptr;
}

bool Timer::active() const { return uv_is_active(reinterpret_cast<uv_handle_t*>(&handle_->timer)); }

struct Watch::Handle {
  uv_poll_t poll;
  int events;
  std::function<void()> callback;

  static int ToUv(int events) {
    return ((events & kReadable) ? UV_READABLE : 0) | ((events & kWritable) ? UV_WRITABLE : 0);
  }

  void Start() {
    uv_poll_start(&poll, ToUv(events), [](uv_poll_t* poll, int status, int) {
      auto* handle = static_cast<Handle*>(poll->data);
      // libuv stops a watch on POLLERR, which for us is only news (ECONNRESET lies before frames
      // that are still to be read): go on, the owner's next read says what it is.
      if (status < 0) handle->Start();
      std::function<void()> callback = handle->callback;
      if (callback) callback();
    });
  }
};

Watch::Watch(Loop* loop, int fd, int events, std::function<void()> callback)
    : handle_(new Handle{{}, events, std::move(callback)}) {
  ok_ = uv_poll_init(loop->uv(), &handle_->poll, fd) == 0;
  if (!ok_) return;
  handle_->poll.data = handle_;
  handle_->Start();
}

Watch::~Watch() {
  if (!ok_) {
    delete handle_;
    return;
  }
  uv_poll_stop(&handle_->poll);
  CloseHandle(handle_, reinterpret_cast<uv_handle_t*>(&handle_->poll));
}

void Watch::SetEvents(int events) {
  if (!ok_ || handle_->events == events) return;
  handle_->events = events;
  handle_->Start();
}

}  // namespace zdd
