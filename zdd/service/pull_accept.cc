#include "zdd/service/pull_accept.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "zdd/base/status.h"
#include "zdd/service/accept.h"

namespace zdd {
namespace {

constexpr int kExhaustedPollMs = 50;

}  // namespace

absl::StatusOr<std::unique_ptr<PullAccept>> PullAccept::Create(AcceptContext context) {
  OwnedFd wake = AboveStdio(OwnedFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!wake.valid()) return ErrnoStatus(errno, "eventfd");
  return std::unique_ptr<PullAccept>(new PullAccept(std::move(context), std::move(wake)));
}

PullAccept::PullAccept(AcceptContext context, OwnedFd wake)
    : context_(std::move(context)), wake_(std::move(wake)) {}

absl::optional<Connection> PullAccept::Accept() {
  // The successor accepts from the moment somebody waits here, not before: a listener on which
  // nobody waits is a hole.
  if (!asked_.exchange(true, std::memory_order_acq_rel)) context_.on_ready();
  MutexLock leader(&leader_);
  for (;;) {
    absl::optional<Connection> connection;
    switch (LookOnce(&connection)) {
      case Look::kConnection:
        return connection;
      case Look::kEnded:
        return absl::nullopt;
      case Look::kNothing:
        Sleep(/*exhausted=*/false);
        break;
      case Look::kExhausted:
        Sleep(/*exhausted=*/true);
        break;
    }
  }
}

PullAccept::Look PullAccept::LookOnce(absl::optional<Connection>* connection) {
  int dead = -1;
  int error = 0;
  {
    MutexLock lock(&mutex_);
    if (!waiting_.empty()) {
      *connection = std::move(waiting_.front().connection);
      if (waiting_.front().taken) waiting_.front().taken();
      waiting_.pop_front();
      return Look::kConnection;
    }
    if (ended_) {
      told_ = true;
      return Look::kEnded;
    }
    for (size_t i = 0; i < sockets_.size(); ++i) {
      const ActiveSocket& socket = sockets_[next_++ % sockets_.size()];
      Accepted accepted = AcceptOne(socket.fd, context_.transport, context_.blocking_connections);
      if (accepted.kind == Accepted::kConnection) {
        *connection = Make(std::move(accepted.fd), accepted.peer);
        return Look::kConnection;
      }
      if (accepted.kind == Accepted::kDead) dead = socket.index;
      if (accepted.kind == Accepted::kExhausted) error = accepted.error;
    }
    if (dead >= 0) sockets_.clear();  // until the listener has repaired it
  }
  if (dead >= 0) context_.on_dead(dead);
  if (error != 0) context_.on_exhausted(error);
  return error != 0 ? Look::kExhausted : Look::kNothing;
}

Connection PullAccept::Make(OwnedFd fd, Address peer) {
  Ticket ticket = context_.enter(fd.get());
  return Connection{std::move(fd), std::move(ticket), peer, false, ""};
}

void PullAccept::Sleep(bool exhausted) {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
  if (!exhausted) {
    MutexLock lock(&mutex_);
    for (const ActiveSocket& socket : sockets_) polled.push_back({socket.fd, POLLIN, 0});
  }
  // A socket may be closed while it is polled here, and its number given anew: that is one look too
  // many, no harm.
  poll(polled.data(), polled.size(), exhausted ? kExhaustedPollMs : -1);
  uint64_t count;
  if (polled[0].revents != 0 && read(wake_.get(), &count, sizeof(count)) < 0) return;
}

void PullAccept::Wake() {
  uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;  // EAGAIN: it is readable anyway
}

void PullAccept::SetSockets(std::vector<ActiveSocket> sockets, Task stopped) {
  {
    MutexLock lock(&mutex_);
    sockets_ = std::move(sockets);
  }
  Wake();
  if (stopped) stopped();
}

void PullAccept::TakeQueued(int fd) {
  MutexLock lock(&mutex_);
  for (;;) {
    Accepted accepted = AcceptOne(fd, context_.transport, context_.blocking_connections);
    if (accepted.kind != Accepted::kConnection) break;
    waiting_.push_back({Make(std::move(accepted.fd), accepted.peer), nullptr});
  }
  Wake();
}

bool PullAccept::Deliver(Connection connection, Task taken) {
  {
    MutexLock lock(&mutex_);
    if (!told_) waiting_.push_back({std::move(connection), std::move(taken)});
  }
  Wake();
  if (!connection.fd.valid()) return true;
  connection.ticket.Reset();  // before its fd
  if (taken) taken();
  return false;
}

void PullAccept::End() {
  {
    MutexLock lock(&mutex_);
    ended_ = true;
  }
  Wake();
}

}  // namespace zdd
