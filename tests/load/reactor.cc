#include "tests/load/reactor.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr int kEventsMax = 256;
constexpr absl::Duration kWaitMax = absl::Seconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<Reactor>> Reactor::Create() {
  OwnedFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus(errno, "epoll_create1");
  OwnedFd wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.valid()) return ErrnoStatus(errno, "eventfd");
  epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return ErrnoStatus(errno, "epoll_ctl eventfd");
  return std::unique_ptr<Reactor>(new Reactor(std::move(epoll), std::move(wake)));
}

absl::Status Reactor::Watch(int fd, Handler* handler) {
  epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                       .data = {.ptr = handler}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return ErrnoStatus(errno, "epoll_ctl socket");
  return absl::OkStatus();
}

// A timer moves later far more often than it fires (each answer moves a deadline), so then it stays
// queued where it is.
void Reactor::SetTimer(Handler* handler, Instant due) {
  handler->due_ = due;
  if (due < handler->queued_) Requeue(handler, due);
}

void Reactor::Requeue(Handler* handler, Instant due) {
  if (handler->queued_ != absl::InfiniteDuration()) timers_.erase({handler->queued_, handler});
  handler->queued_ = due;
  if (due != absl::InfiniteDuration()) timers_.insert({due, handler});
}

void Reactor::RunTimers() {
  const Instant now = MonotonicNow();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Handler* handler = timers_.begin()->second;
    const bool due = handler->due_ <= now;
    if (due) handler->due_ = absl::InfiniteDuration();
    Requeue(handler, handler->due_);
    if (due) handler->OnTimer();
  }
}

void Reactor::Poll() {
  absl::Duration wait = kWaitMax;
  if (!timers_.empty())
    wait = std::clamp(timers_.begin()->first - MonotonicNow(), absl::ZeroDuration(), kWaitMax);
  const timespec timeout = absl::ToTimespec(wait);
  epoll_event events[kEventsMax];
  // epoll_pwait2 (Linux 5.11): a rate of thousands a second cannot be kept in steps of a
  // millisecond.
  const int count = epoll_pwait2(epoll_.get(), events, kEventsMax, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    if (auto* handler = static_cast<Handler*>(events[i].data.ptr))
      handler->OnReady(events[i].events);
  }
  RunTimers();
}

void Reactor::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));  // full: it is awake
}

}  // namespace zdd
