#include "zdd/drain/lingerer.h"

#include <sys/epoll.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/time/time.h"
#include "zdd/drain/linger.h"

namespace zdd {
namespace {

// Without epoll.
constexpr absl::Duration kLookPeriod = absl::Milliseconds(20);

}  // namespace

Lingerer::Lingerer(LingerLimits limits) : limits_(limits) {}

Lingerer::~Lingerer() = default;

void Lingerer::Add(OwnedFd fd, Ticket ticket, Instant now) {
  if (!EndOurDirection(fd.get())) {
    ticket.Reset();
    return;
  }
  if (!epoll_.valid()) epoll_ = OwnedFd(epoll_create1(EPOLL_CLOEXEC));
  if (count() >= kConnectionsMax) Close(lingering_.begin());
  ticket.SetBusy(true);  // else a drain could end our reading from outside
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = next_number_;
  // A failure (memory, the limit of watches) leaves it to the deadline.
  if (epoll_.valid()) epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
  lingering_.try_emplace(next_number_++, std::move(fd), std::move(ticket), now + limits_.time);
}

bool Lingerer::Read(Lingering* lingering) {
  return !Discard(lingering->fd.get(), limits_.bytes, &lingering->discarded).has_value();
}

Lingerer::ByNumber::iterator Lingerer::Close(ByNumber::iterator lingering) {
  if (lingering->second.discarded > 0) {
    ++lost_race_;
    lingering->second.ticket.CountLostRace();
  }
  // The server may have kept a duplicate, and then close() would not end the watch (epoll(7), Q6).
  if (epoll_.valid()) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, lingering->second.fd.get(), nullptr);
  }
  return lingering_.erase(lingering);
}

// True if there may be more.
bool Lingerer::ReadReady() {
  epoll_event events[kTickConnectionsMax];
  const int ready = epoll_wait(epoll_.get(), events, kTickConnectionsMax, 0);
  for (int i = 0; i < ready; ++i) {
    auto lingering = lingering_.find(events[i].data.u64);
    if (lingering != lingering_.end() && !Read(&lingering->second)) Close(lingering);
  }
  return ready == kTickConnectionsMax;
}

void Lingerer::ReadAll() {
  for (auto lingering = lingering_.begin(); lingering != lingering_.end();) {
    lingering = Read(&lingering->second) ? std::next(lingering) : Close(lingering);
  }
}

Instant Lingerer::Tick(Instant now) {
  if (lingering_.empty()) return absl::InfiniteDuration();
  bool more = false;
  if (epoll_.valid()) {
    more = ReadReady();
  } else {
    ReadAll();
  }
  while (!lingering_.empty() && lingering_.begin()->second.until <= now) {
    Close(lingering_.begin());
  }
  if (lingering_.empty()) return absl::InfiniteDuration();
  if (more) return now;
  const Instant next = lingering_.begin()->second.until;
  return epoll_.valid() ? next : std::min(next, now + kLookPeriod);
}

}  // namespace zdd
