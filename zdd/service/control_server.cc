#include "zdd/service/control_server.h"

#include <fcntl.h>

#include <utility>

#include "zdd/base/status.h"
#include "zdd/service/accept.h"
#include "zdd/service/control_socket.h"

namespace zdd {
namespace {

constexpr absl::Duration kAgain = absl::Milliseconds(100);

OwnedFd OpenSpare() { return OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

ControlServer::ControlServer(Loop* loop, EventLog* log, int listener,
                             std::function<void(std::shared_ptr<Peer>, Frame)> on_visitor)
    : loop_(loop),
      log_(log),
      listener_(listener),
      on_visitor_(std::move(on_visitor)),
      spare_(OpenSpare()),
      again_(loop),
      watch_(std::make_unique<Watch>(loop, listener, Watch::kReadable, [this] { OnReadable(); })) {}

ControlServer::~ControlServer() {
  for (auto& [peer, visitor] : visitors_) visitor.peer->Close();
}

void ControlServer::OnReadable() {
  for (;;) {
    Accepted accepted = AcceptOne(listener_, Transport::kUnix, /*blocking=*/false);
    if (accepted.kind == Accepted::kConnection) {
      Welcome(std::move(accepted.fd));
      continue;
    }
    if (accepted.kind == Accepted::kExhausted && spare_.valid()) {
      spare_.Reset();
      continue;
    }
    if (accepted.kind == Accepted::kEmpty && spare_.valid()) return;
    if (!spare_.valid()) spare_ = OpenSpare();
    if (accepted.kind == Accepted::kEmpty) return;
    watch_.reset();
    again_.Start(kAgain, [this] {
      watch_ =
          std::make_unique<Watch>(loop_, listener_, Watch::kReadable, [this] { OnReadable(); });
    });
    return;
  }
}

void ControlServer::Welcome(OwnedFd fd) {
  if (visitors_.size() >= kVisitorsMax) {
    log_->Warning("control.crowded",
                  "the control socket has too many silent visitors; one more was sent away");
    return;
  }
  if (absl::Status status = CheckPeer(fd.get()); !status.ok()) {
    log_->Warning("control.refused", status.ToString());
    return;
  }
  absl::StatusOr<FdChannel> channel = FdChannel::Adopt(std::move(fd));
  if (!channel.ok()) return;
  OwnedFd pidfd = channel->PeerPidfd();
  pid_t pid = 0;
  if (auto credentials = channel->PeerCredentials(); credentials.ok()) pid = credentials->pid;
  auto peer =
      std::make_shared<Peer>(loop_, *std::move(channel), std::move(pidfd), Peer::Listener{});
  peer->info.pid = pid;
  Visitor visitor{peer, std::make_unique<Timer>(loop_)};
  Peer* const key = peer.get();
  visitor.silence->Start(kVisitorSilence, [this, key] { Remove(key); });
  visitors_.emplace(key, std::move(visitor));
  Peer::Listener listener;
  listener.on_frame = [this, key](Frame frame, std::vector<OwnedFd>) {
    auto it = visitors_.find(key);
    if (it == visitors_.end()) return;
    std::shared_ptr<Peer> spoken = std::move(it->second.peer);
    visitors_.erase(it);
    on_visitor_(std::move(spoken), std::move(frame));
  };
  listener.on_garbage = [this, key](absl::Status status) {
    log_->Warning("control.garbage", status.ToString());
    Remove(key);
  };
  listener.on_dead = [this, key] { Remove(key); };
  peer->SetListener(std::move(listener));
  peer->Start();
}

void ControlServer::Remove(Peer* key) {
  auto it = visitors_.find(key);
  if (it == visitors_.end()) return;
  // Closed at once, freed when nothing of it is on the stack any more.
  std::shared_ptr<Peer> peer = std::move(it->second.peer);
  visitors_.erase(it);
  peer->Close();
  loop_->Post([peer] {});
}

}  // namespace zdd
