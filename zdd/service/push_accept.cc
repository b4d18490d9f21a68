#include "zdd/service/push_accept.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "zdd/service/accept.h"

namespace zdd {
namespace {

constexpr absl::Duration kBackOffMin = absl::Milliseconds(10);
constexpr absl::Duration kBackOffMax = absl::Seconds(1);

}  // namespace

PushAccept::PushAccept(AcceptContext context, absl::AnyInvocable<void(Connection)> callback)
    : context_(std::move(context)),
      callback_(std::make_shared<absl::AnyInvocable<void(Connection)>>(std::move(callback))),
      again_(context_.loop),
      back_off_(kBackOffMin) {}

PushAccept::~PushAccept() { *alive_ = false; }

void PushAccept::SetSockets(std::vector<ActiveSocket> sockets, Task stopped) {
  sockets_ = std::move(sockets);
  if (!again_.active()) Watch();
  if (again_.active() && sockets_.empty()) again_.Cancel();
  if (stopped) stopped();
}

void PushAccept::Watch() {
  std::map<int, std::unique_ptr<zdd::Watch>> watches;
  for (const ActiveSocket& socket : sockets_) {
    auto it = watches_.find(socket.fd);
    if (it != watches_.end()) {
      watches[socket.fd] = std::move(it->second);
      watches_.erase(it);
    } else {
      watches[socket.fd] = std::make_unique<zdd::Watch>(context_.loop, socket.fd, Watch::kReadable,
                                                        [this, socket] { OnReadable(socket); });
    }
    if (!watches[socket.fd]->ok()) return BackOff(ENOSPC);
  }
  watches_ = std::move(watches);
}

void PushAccept::OnReadable(ActiveSocket socket) {
  // A callback may stop this listener, or end the service and with it this object.
  std::shared_ptr<bool> alive = alive_;
  for (int i = 0; i < kAcceptsPerTurn && *alive; ++i) {
    if (std::find(sockets_.begin(), sockets_.end(), socket) == sockets_.end()) return;
    Accepted accepted = AcceptOne(socket.fd, context_.transport, context_.blocking_connections);
    switch (accepted.kind) {
      case Accepted::kConnection:
        back_off_ = kBackOffMin;
        Accept(std::move(accepted.fd), accepted.peer);
        break;
      case Accepted::kEmpty:
        return;
      case Accepted::kExhausted:
        return BackOff(accepted.error);
      case Accepted::kDead:
        watches_.erase(socket.fd);  // it would call back for ever
        return context_.on_dead(socket.index);
    }
  }
}

void PushAccept::Accept(OwnedFd fd, Address peer) {
  Ticket ticket = context_.enter(fd.get());
  context_.callbacks->RunNow(
      [callback = callback_,
       connection = Connection{std::move(fd), std::move(ticket), peer, false, ""}]() mutable {
        (*callback)(std::move(connection));
      });
}

bool PushAccept::Deliver(Connection connection, Task taken) {
  // Also when an executor drops it: a task that is dropped counts as done.
  auto done = absl::MakeCleanup([taken = std::move(taken)]() mutable {
    if (taken) taken();
  });
  context_.callbacks->Run(
      [callback = callback_, connection = std::move(connection), done = std::move(done)]() mutable {
        (*callback)(std::move(connection));
      });
  return true;
}

// Clients wait in the queue meanwhile: that is better than what libuv does by itself, which is to
// accept and close them.
void PushAccept::BackOff(int error) {
  watches_.clear();
  again_.Start(back_off_, [this] { Watch(); });
  back_off_ = std::min(back_off_ * 2, kBackOffMax);
  context_.on_exhausted(error);
}

void PushAccept::TakeQueued(int fd) {
  std::shared_ptr<bool> alive = alive_;
  while (*alive) {
    Accepted accepted = AcceptOne(fd, context_.transport, context_.blocking_connections);
    if (accepted.kind != Accepted::kConnection) return;
    Accept(std::move(accepted.fd), accepted.peer);
  }
}

}  // namespace zdd
