#include "zdd/service/listener_core.h"

#include <poll.h>

#include <cstring>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/base/time.h"
#include "zdd/service/accept.h"
#include "zdd/service/push_accept.h"
#include "zdd/service/raw_accept.h"

namespace zdd {
namespace {

constexpr absl::Duration kExhaustionToldEvery = absl::Minutes(1);

bool LostItsFile(const ListenSocket& socket) {
  // A relative path may mean another directory by now.
  return socket.ours() && socket.file.has_value() && absl::StartsWith(socket.file->path, "/") &&
         !StillThere(*socket.file);
}

bool SomebodyWaits(int listener) {
  pollfd polled = {listener, POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

}  // namespace

ListenerCore::ListenerCore(std::string name, Address asked, ListenOptions options,
                           std::shared_ptr<Loop> loop, Callbacks* callbacks,
                           std::shared_ptr<EventLog> log, std::function<Ticket(int fd)> enter)
    : name_(std::move(name)),
      asked_(std::move(asked)),
      options_(std::move(options)),
      loop_(std::move(loop)),
      callbacks_(callbacks),
      log_(std::move(log)),
      enter_(std::move(enter)),
      address_(asked_),
      exhausted_(kExhaustionToldEvery) {}

Address ListenerCore::address() const {
  MutexLock lock(&mutex_);
  return address_;
}

void ListenerCore::AddSocket(ListenSocket socket) {
  socket.index = FreeIndex();
  if (!socket.borrowed) {
    MutexLock lock(&mutex_);
    address_ = socket.address;
  }
  sockets_.push_back(std::move(socket));
}

int ListenerCore::FreeIndex() const {
  int index = 0;
  while (absl::c_any_of(sockets_, [&](const ListenSocket& each) { return each.index == index; })) {
    ++index;
  }
  return index;
}

absl::Status ListenerCore::SetMode(std::shared_ptr<AcceptMode> mode) {
  if (mode_ != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("listener \"", name_, "\": it already has its way to accept"));
  }
  mode_ = std::move(mode);
  return absl::OkStatus();
}

absl::Status ListenerCore::OnConnection(absl::AnyInvocable<void(Connection)> callback) {
  if (transport() == Transport::kUdp) {
    return absl::InvalidArgumentError(
        absl::StrCat("listener \"", name_, "\": a UDP socket has no connections: use AcceptWith"));
  }
  return SetMode(std::make_shared<PushAccept>(Context(), std::move(callback)));
}

absl::Status ListenerCore::AcceptWith(Acceptor* acceptor) {
  if (acceptor == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("listener \"", name_, "\": acceptor is null"));
  }
  return SetMode(std::make_shared<RawAccept>(Context(), acceptor));
}

absl::Status ListenerCore::Finish() {
  if (mode_ != nullptr && migrates() && !mode_->delivers()) {
    return absl::InvalidArgumentError(
        absl::StrCat("listener \"", name_, "\": migration_format \"", options_.migration_format,
                     "\" beside AcceptWith: nobody could give it a connection that has moved; use "
                     "OnConnection or Accept()"));
  }
  if (mode_ != nullptr) return absl::OkStatus();
  if (transport() == Transport::kUdp) {
    return absl::FailedPreconditionError(
        absl::StrCat("listener \"", name_, "\": a UDP socket is served by AcceptWith"));
  }
  absl::StatusOr<std::unique_ptr<PullAccept>> pull = PullAccept::Create(Context());
  if (!pull.ok()) return Annotate(pull.status(), absl::StrCat("listener \"", name_, "\""));
  pull_ = *std::move(pull);
  return SetMode(pull_);
}

AcceptContext ListenerCore::Context() {
  AcceptContext context;
  context.loop = loop_.get();
  context.callbacks = callbacks_;
  context.transport = transport();
  context.blocking_connections = options_.blocking_connections;
  context.enter = enter_;
  std::weak_ptr<ListenerCore> weak = weak_from_this();
  auto post = loop_->poster();
  context.on_ready = [weak, post] {
    post([weak] {
      auto self = weak.lock();
      if (self != nullptr && self->on_ready_) self->on_ready_();
    });
  };
  context.on_dead = [weak, post](int index) {
    post([weak, index] {
      if (auto self = weak.lock()) self->Repair(index);
    });
  };
  context.on_exhausted = [weak](int error) {
    if (auto self = weak.lock()) self->WarnOfExhaustion(error);
  };
  return context;
}

// It may repeat many times a second, for as long as the clients stay.
void ListenerCore::WarnOfExhaustion(int error) {
  const absl::optional<int> untold = exhausted_.Tell(MonotonicNow());
  if (!untold.has_value()) return;
  log_->Warning(
      "listener.exhausted",
      absl::StrCat(
          "listener \"", name_, "\" pauses: accept4: ", strerrordesc_np(error),
          "; clients wait in the queue",
          *untold > 0 ? absl::StrCat(" (", *untold, " pauses since this was last told)") : ""),
      {{"listener", name_}});
}

absl::optional<Connection> ListenerCore::Accept() {
  if (pull_ == nullptr || loop_->on_loop()) {
    log_->Error(
        "listener.misused",
        absl::StrCat("listener \"", name_, "\": Accept() ",
                     pull_ == nullptr ? "before Start(), or beside OnConnection or AcceptWith"
                                      : "on zdd's loop, where nothing may block"));
    return absl::nullopt;
  }
  return pull_->Accept();
}

bool ListenerCore::Reads(absl::string_view format) const {
  if (!migrates()) return false;
  return format == options_.migration_format ||
         absl::c_linear_search(options_.migration_reads, format);
}

bool ListenerCore::Deliver(OwnedFd fd, absl::optional<Ticket> ticket, std::string state,
                           Task taken) {
  if (mode_ == nullptr || !mode_->delivers()) {
    if (ticket.has_value()) ticket->Reset();  // before its fd
    if (taken) taken();
    return false;
  }
  // The mode comes along from the version before, since it belongs to what both share.
  absl::Status mode = SetBlocking(fd.get(), options_.blocking_connections);
  if (!mode.ok()) log_->Warning("listener.deliver", mode.ToString());
  Connection connection;
  connection.ticket = ticket.has_value() ? *std::move(ticket) : enter_(fd.get());
  connection.peer = PeerAddress(fd.get(), transport());
  connection.moved = true;
  connection.state = std::move(state);
  connection.fd = std::move(fd);
  return mode_->Deliver(std::move(connection), std::move(taken));
}

void ListenerCore::Pause(bool paused) {
  loop_->Post([weak = weak_from_this(), paused] {
    if (auto self = weak.lock()) self->SetPaused(paused);
  });
}

void ListenerCore::SetPaused(bool paused) {
  if (paused_ == paused || closed_) return;
  paused_ = paused;
  Apply(nullptr);
}

void ListenerCore::SetDraining(bool draining, Task stopped) {
  draining_ = draining;
  Apply(std::move(stopped));
}

void ListenerCore::SetAccepts(Accepts accepts, bool exclusive) {
  if (closed_ || (accepts == accepts_ && exclusive == serves_exclusive_)) return;
  accepts_ = accepts;
  serves_exclusive_ = exclusive;
  Apply(nullptr);
}

void ListenerCore::WhenStopped(Task task) { Apply(std::move(task)); }

void ListenerCore::Apply(Task stopped) {
  std::vector<ActiveSocket> active;
  for (const ListenSocket& socket : sockets_) {
    const bool wanted = accepts_ == Accepts::kAll ||
                        (accepts_ == Accepts::kUnclaimed && !socket.claimed && !socket.borrowed);
    const bool ours = !options_.exclusive || serves_exclusive_;
    const bool open = !paused_ && !draining_ && !closed_;
    if (wanted && ours && open) active.push_back({socket.index, socket.fd.get()});
  }
  if (mode_ != nullptr) {
    mode_->SetSockets(std::move(active), std::move(stopped));
  } else if (stopped) {
    stopped();
  }
}

void ListenerCore::ForgetPeer() {
  std::vector<ListenSocket> kept;
  std::vector<ListenSocket> borrowed;
  for (ListenSocket& socket : sockets_) {
    socket.claimed = false;
    (socket.borrowed ? borrowed : kept).push_back(std::move(socket));
  }
  sockets_ = std::move(kept);
  if (!borrowed.empty()) Apply(nullptr);
  for (ListenSocket& socket : borrowed) mode_->TakeQueued(socket.fd.get());
}

void ListenerCore::Close(bool take_queued) {
  if (std::exchange(closed_, true)) return;
  std::vector<ListenSocket> sockets = std::move(sockets_);
  sockets_.clear();
  Apply(nullptr);
  if (mode_ == nullptr || !take_queued) return;
  for (ListenSocket& socket : sockets) {
    if (!socket.claimed && !socket.borrowed && transport() != Transport::kUdp) {
      mode_->TakeQueued(socket.fd.get());
    }
  }
}

void ListenerCore::Detach() {
  End();
  closed_ = true;
  mode_.reset();
  sockets_.clear();
}

void ListenerCore::End() {
  if (mode_ != nullptr) mode_->End();
}

SocketOptions ListenerCore::BindOptions() {
  SocketOptions options;
  options.backlog = options_.backlog;
  options.dual_stack = options_.dual_stack;
  options.device = options_.device;
  options.unix_mode = options_.unix_mode;
  options.hook = hook();
  return options;
}

std::function<absl::Status(int fd)> ListenerCore::hook() {
  if (!options_.socket_hook) return nullptr;
  return [this](int fd) { return options_.socket_hook(fd); };
}

// Somebody called shutdown() on a listening socket, which kills it for all processes that share it.
void ListenerCore::Repair(int index) {
  std::erase_if(sockets_, [&](const ListenSocket& each) {
    return each.nameless && each.index == index;  // it has nothing more to give
  });
  for (ListenSocket& socket : sockets_) {
    if (socket.index != index || closed_) continue;
    absl::StatusOr<Revival> revival = Revive(socket.fd.get(), socket.address, options_.backlog);
    std::string outcome = "it listens again";
    if (!revival.ok() || *revival == Revival::kDead) {
      absl::StatusOr<BoundSocket> bound = BindSocket(socket.address, BindOptions());
      outcome = bound.ok() ? "it was bound anew" : bound.status().ToString();
      if (bound.ok()) {
        socket.fd = std::move(bound->fd);
        socket.file = bound->file;
      }
    }
    log_->Error(
        "listener.shut_down",
        absl::StrCat("listener \"", name_,
                     "\": somebody called shutdown() on the listening socket of ",
                     socket.address.ToString(), ", which kills it for every process: ", outcome,
                     ". Give that server connections by OnConnection instead of the socket"),
        {{"listener", name_}});
  }
  Apply(nullptr);
}

void ListenerCore::KeepFiles() {
  if (closed_) return;
  CloseEmptied();
  const auto lost = absl::c_find_if(sockets_, LostItsFile);
  if (lost == sockets_.end()) return told_.clear();
  if (sockets_.size() < kSocketsPerListenerMax) Rebind(lost - sockets_.begin());
}

void ListenerCore::Rebind(size_t i) {
  const SocketFile file = *sockets_[i].file;
  const std::string what = absl::StrCat("listener \"", name_, "\": socket file ", file.path, ": ");
  const std::string loss = LossOf(file);
  absl::StatusOr<BoundSocket> bound = BindSocket(sockets_[i].address, BindOptions());
  if (!bound.ok()) {
    const bool replaced =
        absl::IsAlreadyExists(bound.status()) || absl::IsFailedPrecondition(bound.status());
    std::string message = absl::StrCat(
        what, "no client finds this service there: ", replaced ? "another took its place: " : "",
        bound.status().message());
    if (std::exchange(told_, message) == message) return;
    return log_->Warning(replaced ? "listener.replaced" : "listener.lost", std::move(message),
                         {{"listener", name_}});
  }
  sockets_[i].nameless = true;
  sockets_[i].file.reset();
  ListenSocket socket;
  socket.fd = std::move(bound->fd);
  socket.address = sockets_[i].address;
  socket.file = std::move(bound->file);
  AddSocket(std::move(socket));
  Apply(nullptr);
  told_.clear();
  log_->Warning("listener.remade", absl::StrCat(what, loss, "; bound anew"), {{"listener", name_}});
}

// A queue that nobody can join any more.
void ListenerCore::CloseEmptied() {
  std::vector<ListenSocket> kept;
  std::vector<ListenSocket> emptied;
  for (ListenSocket& socket : sockets_) {
    const bool done = socket.nameless && !SomebodyWaits(socket.fd.get());
    (done ? emptied : kept).push_back(std::move(socket));
  }
  sockets_ = std::move(kept);
  if (emptied.empty()) return;
  // Open until nobody accepts from it; a connect() that had waited for room is taken along.
  Apply([mode = mode_, emptied = std::move(emptied)] {
    for (const ListenSocket& socket : emptied) {
      if (mode != nullptr) mode->TakeQueued(socket.fd.get());
    }
  });
}

}  // namespace zdd
