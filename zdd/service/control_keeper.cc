#include "zdd/service/control_keeper.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/net/address.h"
#include "zdd/net/socket_file.h"

namespace zdd {
namespace {

// The loop waits so long for somebody who is starting just now: he has the lock for microseconds.
constexpr absl::Duration kLoopLockWait = absl::Milliseconds(100);

std::string PeerName(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return absl::StrCat("pid ", peer.pid);
}

// What lies there is not ours to remove, as opposed to what may work at the next look.
absl::string_view LossEvent(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) ? "control.replaced" : "control.lost";
}

}  // namespace

ControlKeeper::ControlKeeper(Loop* loop, EventLog* log, RuntimeDir dir, std::string service,
                             OnVisitor on_visitor, absl::Duration look_period)
    : loop_(loop),
      log_(log),
      service_(std::move(service)),
      on_visitor_(std::move(on_visitor)),
      look_period_(look_period),
      dir_(std::move(dir)) {}

void ControlKeeper::Hold(ControlSocket socket) { socket_ = std::move(socket); }

void ControlKeeper::Inherit(const OfferedSocket& offered, OwnedFd fd) {
  SocketFile file{dir_.LongPath(ControlSocketName(service_))};
  if (offered.file.has_value()) {
    file.device = offered.file->device;
    file.inode = offered.file->inode;
  }
  Hold({std::move(fd), std::move(file)});
}

void ControlKeeper::Serve() {
  if (server_ != nullptr) return;
  server_ = std::make_unique<ControlServer>(loop_, log_, socket_.fd.get(), on_visitor_);
}

void ControlKeeper::Own() {
  absl::Status listening = ListenAgain(socket_.fd.get());
  if (!listening.ok()) log_->Warning("control.listen", listening.ToString());
  Serve();
}

void ControlKeeper::SetKept(bool kept) {
  if (kept == (look_ != nullptr)) return;
  look_.reset();
  if (!kept) return;
  look_ = std::make_unique<Timer>(loop_);
  look_->StartEvery(look_period_, [this] { LookAtAll(); });
  LookAtAll();
}

void ControlKeeper::LookAtAll() {
  Look();
  if (also_look_) also_look_();
}

void ControlKeeper::Look() {
  // 0: a predecessor that has not told which file it is.
  if (socket_.file.inode == 0 || StillThere(socket_.file)) return told_.clear();
  const std::string loss = LossOf(socket_.file);
  const absl::Status remade = Remake();
  if (!remade.ok()) return TellOnce(LossEvent(remade), std::string(remade.message()));
  told_.clear();
  log_->Warning("control.remade",
                absl::StrCat("control socket ", socket_.file.path, ": ", loss, "; made again"));
}

// In the directory that has the name now: the one that we hold open may be gone as well.
absl::Status ControlKeeper::Remake() {
  absl::StatusOr<RuntimeDir> dir = EnsureRuntimeDir(dir_.path);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<ControlStart> start = JoinOrBindControl(*dir, service_, kLoopLockWait);
  if (!start.ok()) return start.status();
  if (!start->bound.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        socket_.file.path, " was ours, and belongs to ", PeerName(start->predecessor.get()),
        " now: two services share one name and runtime directory; stop one of them"));
  }
  server_.reset();  // before its descriptor
  dir_ = *std::move(dir);
  socket_ = *std::move(start->bound);
  Serve();
  return absl::OkStatus();
}

void ControlKeeper::TellOnce(absl::string_view event, std::string message) {
  if (message == told_) return;
  told_ = message;
  log_->Warning(event, std::move(message));
}

absl::StatusOr<OwnedFd> ControlKeeper::Offer(OfferedSocket* offered) const {
  offered->listener = std::string(kControlName);
  offered->asked = offered->bound = Address().ToString();
  offered->file = FileIdentity{socket_.file.device, socket_.file.inode};
  OwnedFd fd = Duplicate(socket_.fd.get());
  if (!fd.valid()) return ErrnoStatus(errno, "duplicate the control socket");
  return fd;
}

void ControlKeeper::Close() {
  SetKept(false);
  server_.reset();
  socket_.fd.Reset();
}

absl::Status ControlKeeper::Unlink() {
  absl::StatusOr<StartLock> lock = LockStart(dir_, service_, kLoopLockWait);
  // It is stale then, and found so.
  if (!lock.ok()) return lock.status();
  return UnlinkControl(dir_, service_, socket_.file, *lock);
}

}  // namespace zdd
