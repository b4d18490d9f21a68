#include "zdd/service/callbacks.h"

#include <thread>
#include <utility>

#include "zdd/base/mutex.h"

namespace zdd {

struct Callbacks::Gate {
  Mutex mutex;
  CondVar changed;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  int depth ABSL_GUARDED_BY(mutex) = 0;  // a callback may run a loop that runs callbacks
  std::thread::id runner ABSL_GUARDED_BY(mutex);

  bool Enter() {
    MutexLock lock(&mutex);
    if (closed) return false;
    ++depth;
    runner = std::this_thread::get_id();
    return true;
  }

  void Leave() {
    MutexLock lock(&mutex);
    --depth;
    changed.SignalAll();
  }
};

Callbacks::Callbacks(Loop* loop, absl::AnyInvocable<void(Task)> executor)
    : loop_(loop), executor_(std::move(executor)), gate_(std::make_shared<Gate>()) {}

Task Callbacks::Guarded(Task task) {
  return [gate = gate_, task = std::move(task)]() mutable {
    if (!gate->Enter()) return;
    task();
    gate->Leave();
  };
}

void Callbacks::Run(Task task) {
  if (executor_) return Give(Guarded(std::move(task)));
  loop_->Post(Guarded(std::move(task)));
}

void Callbacks::RunNow(Task task) {
  if (executor_) return Give(Guarded(std::move(task)));
  Guarded(std::move(task))();
}

void Callbacks::Give(Task task) {
  if (together_ == 0) return executor_(std::move(task));
  collected_.push_back(std::move(task));
}

void Callbacks::GiveCollected() {
  if (collected_.empty()) return;
  executor_([tasks = std::exchange(collected_, {})]() mutable {
    for (Task& task : tasks) {
      task();
      task = nullptr;  // what it holds ends with it, not with the last one
    }
  });
}

void Callbacks::Close() {
  MutexLock lock(&gate_->mutex);
  gate_->closed = true;
  while (gate_->depth > 0 && gate_->runner != std::this_thread::get_id())
    gate_->changed.Wait(&gate_->mutex);
}

}  // namespace zdd
