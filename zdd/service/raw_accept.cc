#include "zdd/service/raw_accept.h"

#include <cerrno>
#include <utility>

namespace zdd {
namespace {

constexpr absl::Duration kStartAgain = absl::Milliseconds(50);

// Runs a task once: when called, or when dropped uncalled (an executor may drop what it was given).
class OnceOrDropped {
 public:
  explicit OnceOrDropped(Task task) : task_(std::move(task)) {}
  OnceOrDropped(OnceOrDropped&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  ~OnceOrDropped() { (*this)(); }
  void operator()() {
    if (Task task = std::exchange(task_, nullptr)) task();
  }

 private:
  Task task_;
};

}  // namespace

RawAccept::RawAccept(AcceptContext context, Acceptor* acceptor)
    : context_(std::move(context)), acceptor_(acceptor), again_(context_.loop) {}

void RawAccept::SetSockets(std::vector<ActiveSocket> sockets, Task stopped) {
  if (stopped) waiting_.push_back(std::move(stopped));
  for (auto& [index, socket] : sockets_) socket.wanted = -1;
  for (const ActiveSocket& active : sockets) sockets_[active.index].wanted = active.fd;
  for (auto& [index, socket] : sockets_) Advance(index);
  TellIfStopped();
}

void RawAccept::Advance(int index) {
  Socket& socket = sockets_[index];
  if (socket.state == State::kStopped && socket.wanted >= 0) {
    OwnedFd fd = Duplicate(socket.wanted);
    if (!fd.valid()) {
      context_.on_exhausted(errno);
      again_.Start(kStartAgain, [this] {
        for (auto& [each, ignored] : sockets_) Advance(each);
      });
      return;
    }
    socket.state = State::kStarted;
    context_.callbacks->Run([acceptor = acceptor_, index, fd = std::move(fd)]() mutable {
      acceptor->Start(index, std::move(fd));
    });
  } else if (socket.state == State::kStarted && socket.wanted < 0) {
    socket.state = State::kStopping;
    // `stopped` comes from any thread, perhaps after the listener has gone.
    OnceOrDropped stopped([weak = weak_from_this(), post = context_.loop->poster(), index] {
      post([weak, index] {
        if (auto self = weak.lock()) self->OnStopped(index);
      });
    });
    context_.callbacks->Run([acceptor = acceptor_, index, stopped = std::move(stopped)]() mutable {
      acceptor->Stop(index, std::move(stopped));
    });
  }
}

void RawAccept::OnStopped(int index) {
  sockets_[index].state = State::kStopped;
  Advance(index);
  TellIfStopped();
}

void RawAccept::TellIfStopped() {
  for (const auto& [index, socket] : sockets_) {
    if (socket.wanted < 0 && socket.state != State::kStopped) return;
  }
  for (Task& stopped : std::exchange(waiting_, {})) stopped();
}

}  // namespace zdd
