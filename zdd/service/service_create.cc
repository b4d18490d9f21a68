// How a service comes to be: options, signals, directory, and the predecessor, if there is one.
// Runs on the thread that calls Create(), which blocks.
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/status.h"
#include "zdd/base/syscalls.h"
#include "zdd/service/check_options.h"
#include "zdd/service/service_core.h"

namespace zdd {
namespace {

// Between two tries to join a predecessor that is busy.
constexpr absl::Duration kBusyAgain = absl::Milliseconds(100);
// A process that dies closes its descriptors this much, at most, before its end shows.
constexpr absl::Duration kEndShows = absl::Milliseconds(250);

// 0, who is in no namespace of ours, and a stranger of the same number count as living.
bool HasEnded(pid_t pid) {
  if (pid <= 0) return false;
  const OwnedFd pidfd(Syscalls::Real().PidfdOpen(pid, 0));
  if (!pidfd.valid()) return errno == ESRCH;
  pollfd ended = {pidfd.get(), POLLIN, 0};
  return poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(kEndShows))) == 1;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ServiceCore>> ServiceCore::Create(Options options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  auto core = std::make_shared<ServiceCore>(std::move(options));
  if (absl::Status status = core->Init(); !status.ok()) {
    core->Shutdown();
    return Annotate(status, absl::StrCat("service \"", core->options_.name, "\""));
  }
  return core;
}

absl::Status ServiceCore::Init() {
  log_ = std::make_shared<EventLog>(options_.name, std::move(options_.log));
  image_ = ProcessImage::Record();
  if (!options_.working_directory.empty()) image_.MoveTo(options_.working_directory);
  if (absl::Status status = TakeSignals(); !status.ok()) return status;
  absl::StatusOr<RuntimeDir> dir =
      EnsureRuntimeDir(ChooseRuntimeDir(RuntimeDirHints::Of(options_.runtime_dir)));
  if (!dir.ok()) return dir.status();
  key_ = dir->LongPath(options_.name);
  if (absl::Status status = ProcessServices::Get().Add(key_, weak_from_this()); !status.ok()) {
    key_.clear();  // it is the other one's
    return status;
  }
  absl::StatusOr<std::unique_ptr<Loop>> loop = Loop::Create(options_.loop);
  if (!loop.ok()) return loop.status();
  loop_ = *std::move(loop);
  callbacks_ = std::make_unique<Callbacks>(loop_.get(), std::move(options_.executor));
  tickets_ = TicketTable::Create();
  listeners_ = std::make_unique<ListenerSet>(
      loop_, callbacks_.get(), log_, [tickets = tickets_](const std::string& name) {
        const uint8_t kind = tickets->Kind(name);
        return [tickets, kind](int fd) { return tickets->Enter(kind, fd); };
      });
  control_ =
      std::make_unique<ControlKeeper>(loop_.get(), log_.get(), *std::move(dir), options_.name,
                                      [this](std::shared_ptr<Peer> peer, Frame first) {
                                        OnVisitor(std::move(peer), std::move(first));
                                      });
  pid_ = std::make_unique<PidKeeper>(log_.get(), options_.pid_file, getpid());
  control_->AlsoLook([this] {
    listeners_->KeepFiles();
    pid_->Look();
  });
  WatchMigrations();
  if (absl::Status status = FindPredecessor(); !status.ok()) return status;
  loop_->Run([this] { WatchSignals(); });
  return absl::OkStatus();
}

absl::Status ServiceCore::TakeSignals() {
  std::vector<int> signals = options_.stop_signals;
  if (options_.upgrade_signal != 0) signals.push_back(options_.upgrade_signal);
  absl::StatusOr<std::unique_ptr<SignalTaker>> taken = SignalTaker::Take(std::move(signals));
  if (!taken.ok())
    return Annotate(taken.status(), "options.upgrade_signal and options.stop_signals");
  signals_ = *std::move(taken);
  return absl::OkStatus();
}

void ServiceCore::WatchSignals() {
  if (!loop_->borrowed()) signals_->UnblockHere();
  signal_watch_ = std::make_unique<Watch>(loop_.get(), signals_->fd(), Watch::kReadable, [this] {
    std::shared_ptr<ServiceCore> self = shared_from_this();
    for (int signal : signals_->Read()) self->OnSignal(signal);
  });
}

absl::Status ServiceCore::FindPredecessor() {
  absl::StatusOr<absl::optional<InheritedChannel>> inherited = TakeInheritedChannel(options_.name);
  if (!inherited.ok()) return inherited.status();
  if (inherited->has_value()) {
    InheritedChannel channel = *std::move(*inherited);
    if (channel.held_signal != 0 && channel.held_signal != options_.upgrade_signal)
      UnblockUntaken(channel.held_signal);
    absl::StatusOr<FdChannel> adopted = FdChannel::Adopt(std::move(channel.fd));
    if (!adopted.ok()) return adopted.status();
    const absl::StatusOr<Credentials> spawner = adopted->PeerCredentials();
    const absl::Status joined = Join(*std::move(adopted), options_.join_timeout);
    // Who stops in order kills what it has spawned first: it has died, and nobody else is left.
    if (!absl::IsUnavailable(joined) || !spawner.ok() || !HasEnded(spawner->pid)) return joined;
    log_->Warning("join.orphaned",
                  absl::StrCat(joined.message(), "; it has ended: beginning anew"));
  }
  const Instant deadline = MonotonicNow() + options_.ready_timeout;
  for (;;) {
    absl::Status status = JoinOrBecomeFirst();
    if (!IsBusy(status) || !options_.wait_if_busy || MonotonicNow() >= deadline) return status;
    poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(kBusyAgain)));
  }
}

absl::Status ServiceCore::JoinOrBecomeFirst() {
  absl::StatusOr<ControlStart> start = JoinOrBindControl(control_->dir(), options_.name);
  if (!start.ok()) return start.status();
  if (start->bound.has_value()) {
    BecomeFirst(*std::move(start->bound));
    return absl::OkStatus();
  }
  absl::StatusOr<FdChannel> channel = FdChannel::Adopt(std::move(start->predecessor));
  if (!channel.ok()) return channel.status();
  return Join(*std::move(channel), kWelcomeLimit);
}

void ServiceCore::BecomeFirst(ControlSocket socket) {
  loop_->Run([&] {
    control_->Hold(std::move(socket));
    generation_ = std::make_unique<Generation>(MakeContext(), Phase::kStarting, 1);
    generation_number_ = 1;
    // Who comes before we serve is told so.
    control_->Serve();
  });
}

absl::Status ServiceCore::Join(FdChannel channel, absl::Duration welcome_limit) {
  JoinRequest request;
  request.service = options_.name;
  request.version = options_.version;
  request.welcome_limit = welcome_limit;
  request.join_limit = options_.join_timeout;
  absl::StatusOr<JoinedHandoff> joined = JoinPredecessor(std::move(channel), request);
  if (!joined.ok()) return joined.status();
  absl::Status status;
  loop_->Run([&] {
    for (size_t i = 0; i < joined->sockets.size() && status.ok(); ++i) {
      const OfferedSocket& offered = joined->sockets[i];
      if (offered.listener != kControlName) {
        status = listeners_->Inherit(offered, std::move(joined->fds[i]));
        continue;
      }
      control_->Inherit(offered, std::move(joined->fds[i]));
    }
    if (!status.ok()) return;
    if (!control_->holds()) {
      status = absl::DataLossError(
          absl::StrCat("join pid ", joined->predecessor.pid, ": it offers no control socket"));
      return;
    }
    generation_number_ = joined->welcome.generation;
    generation_ =
        std::make_unique<Generation>(MakeContext(), Phase::kJoining, joined->welcome.generation);
    generation_->Join(*std::move(joined));
  });
  return status;
}

GenerationContext ServiceCore::MakeContext() {
  GenerationContext context;
  context.loop = loop_.get();
  context.log = log_.get();
  context.listeners = listeners_.get();
  context.host = this;
  context.service = options_.name;
  context.version = options_.version;
  context.limits.join = options_.join_timeout;
  context.limits.hello = options_.hello_timeout;
  context.limits.ready = options_.ready_timeout;
  context.limits.silence = options_.silence;
  context.limits.standby = options_.standby;
  context.drain_timeout = LongestOf(options_.drain);
  context.limits.peer_drain = context.drain_timeout + absl::Seconds(1);
  context.draining_max = options_.draining_generations_max;
  return context;
}

}  // namespace zdd
