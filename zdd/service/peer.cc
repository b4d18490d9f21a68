#include "zdd/service/peer.h"

#include <poll.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/base/syscalls.h"
#include "zdd/service/child.h"

namespace zdd {
namespace {

// The kernel closes a dying process's files an instant before it tells its death.
constexpr absl::Duration kDeathAfterEndOfFile = absl::Milliseconds(250);
constexpr absl::Duration kSendAgain = absl::Milliseconds(1);

bool IsReadable(int fd) {
  pollfd polled = {fd, POLLIN, 0};
  return fd >= 0 && poll(&polled, 1, 0) == 1;
}

}  // namespace

Peer::Peer(Loop* loop, FdChannel channel, OwnedFd pidfd, Listener listener)
    : loop_(loop),
      channel_(std::move(channel)),
      pidfd_(std::move(pidfd)),
      listener_(std::move(listener)),
      retry_(loop),
      last_heard_(MonotonicNow()) {}

Peer::~Peer() { Close(); }

void Peer::Start() {
  watch_ = std::make_unique<Watch>(loop_, channel_.fd(), Watch::kReadable, [this] {
    std::shared_ptr<Peer> keep = shared_from_this();
    Flush();
    ReadAll();
  });
  if (pidfd_.valid()) {
    death_ = std::make_unique<Watch>(loop_, pidfd_.get(), Watch::kReadable, [this] { ReadAll(); });
  }
}

void Peer::FollowSpeaker() {
  info.pid = speaker_;
  death_.reset();
  // None to be had: it has ended meanwhile, and the end of file tells.
  pidfd_ = OwnedFd(Syscalls::Real().PidfdOpen(speaker_, 0));
  if (!pidfd_.valid()) return;
  death_ = std::make_unique<Watch>(loop_, pidfd_.get(), Watch::kReadable, [this] { ReadAll(); });
}

void Peer::Kill() {
  if (pidfd_.valid()) SendSignal(pidfd_.get(), info.pid, SIGKILL).IgnoreError();
}

void Peer::Close() {
  closed_ = true;
  watch_.reset();
  death_.reset();
  retry_.Cancel();
  queue_.clear();
  // The descriptor goes too, so that the other side sees the end.
  OwnedFd gone = std::move(channel_).Release();
}

void Peer::ReadAll() {
  std::shared_ptr<Peer> keep = shared_from_this();
  ReadQueue();
  // A death is told here too, so that whoever reads before he decides has heard of it. What the
  // peer said between our last look and its death is read first.
  if (closed_ || dead_ || !IsReadable(pidfd_.get())) return;
  ReadQueue();
  if (!closed_) Die();
}

void Peer::ReadQueue() {
  while (!closed_ && !end_of_file_ && ReadOne()) {
  }
}

bool Peer::ReadOne() {
  Received received = channel_.Receive();
  switch (received.kind) {
    case Received::kWouldBlock:
      return false;
    case Received::kEndOfFile:
      OnEndOfFile();
      return false;
    case Received::kBroken:
      return OnBroken(received.status);
    case Received::kFrame:
      Deliver(std::move(received));
      return true;
  }
  return false;
}

void Peer::Deliver(Received received) {
  last_heard_ = MonotonicNow();
  speaker_ = received.credentials.has_value() ? received.credentials->pid : 0;
  absl::StatusOr<Frame> frame = Decode(received.bytes, static_cast<int>(received.fds.size()));
  if (!frame.ok()) {
    return Garbage(frame.status());
  }
  if (std::holds_alternative<PingFrame>(*frame)) return;
  // A copy: what it does may give this peer another listener.
  auto on_frame = listener_.on_frame;
  if (on_frame) on_frame(*std::move(frame), std::move(received.fds));
}

// True when the next frame may be right behind it. A call that failed may fail again at once, and
// for ever: another turn of the loop looks again, if the channel may be of use then.
bool Peer::OnBroken(const absl::Status& status) {
  const bool usable = absl::IsDataLoss(status) || absl::IsResourceExhausted(status);
  if (!usable) {
    end_of_file_ = true;
    watch_.reset();
  }
  Garbage(status);
  return absl::IsDataLoss(status);
}

void Peer::Garbage(const absl::Status& status) {
  auto on_garbage = listener_.on_garbage;
  if (on_garbage) on_garbage(status);
}

void Peer::OnEndOfFile() {
  end_of_file_ = true;
  watch_.reset();
  if (!pidfd_.valid()) return Die();
  retry_.Start(kDeathAfterEndOfFile, [this] {
    if (dead_ || closed_) return;
    if (IsReadable(pidfd_.get())) return Die();
    Garbage(
        absl::UnavailableError(absl::StrCat("pid ", info.pid, " closed the channel and lives on")));
  });
}

void Peer::Die() {
  if (std::exchange(dead_, true)) return;
  death_.reset();
  queue_.clear();
  auto on_dead = listener_.on_dead;
  if (on_dead) on_dead();
}

void Peer::Send(const Frame& frame, std::vector<OwnedFd> fds) {
  if (closed_ || dead_) return;
  if (queue_.size() >= kQueueMax) {
    if (std::holds_alternative<PingFrame>(frame)) return;
    return Garbage(absl::ResourceExhaustedError(
        absl::StrCat("pid ", info.pid, " reads nothing (", queue_.size(), " frames wait)")));
  }
  // A ping that would wait tells nothing.
  if (std::holds_alternative<PingFrame>(frame) && !queue_.empty()) return;
  queue_.push_back({Encode(frame), std::move(fds)});
  Flush();
}

void Peer::Flush() {
  std::shared_ptr<Peer> keep = shared_from_this();  // whoever hears of garbage may forget us
  while (!queue_.empty() && TrySend(queue_.front())) {
    if (closed_) return;
    queue_.pop_front();
  }
  if (watch_ == nullptr) return;
  // While the kernel lacks memory, or room for descriptors in flight, poll says writable all along.
  const bool awaits_poll = !queue_.empty() && !retry_.active();
  watch_->SetEvents(awaits_poll ? Watch::kReadable | Watch::kWritable : Watch::kReadable);
}

// True when the frame is done with.
bool Peer::TrySend(const Outgoing& outgoing) {
  std::vector<int> fds;
  for (const OwnedFd& fd : outgoing.fds) fds.push_back(fd.get());
  SendResult result = channel_.Send(outgoing.bytes, fds);
  switch (result.kind) {
    case SendResult::kSent:
      return true;
    case SendResult::kPeerGone:
      return true;  // nobody will read it; the death or the end of file tells
    case SendResult::kFailed:
      Garbage(Annotate(result.status, "send"));
      return true;
    case SendResult::kWouldBlock:
      if (absl::IsResourceExhausted(result.status)) retry_.Start(kSendAgain, [this] { Flush(); });
      return false;
  }
  return true;
}

}  // namespace zdd
