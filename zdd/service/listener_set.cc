#include "zdd/service/listener_set.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "zdd/base/status.h"
#include "zdd/net/address.h"
#include "zdd/net/socket.h"
#include "zdd/service/check_listen_options.h"

namespace zdd {
namespace {

SocketOptions ToSocketOptions(const std::shared_ptr<ListenerCore>& core) {
  const ListenOptions& from = core->options();
  SocketOptions options;
  options.backlog = from.backlog;
  options.dual_stack = from.dual_stack;
  options.device = from.device;
  options.unix_mode = from.unix_mode;
  options.hook = core->hook();
  return options;
}

OfferedSocket Describe(const ListenerCore& core, const ListenSocket& socket) {
  OfferedSocket offered;
  offered.listener = core.name();
  offered.asked = core.asked().ToString();
  offered.bound = socket.address.ToString();
  offered.kind = core.transport() == Transport::kUdp ? SocketKind::kDatagram : SocketKind::kStream;
  offered.index = socket.index;
  if (socket.file.has_value()) offered.file = FileIdentity{socket.file->device, socket.file->inode};
  offered.exclusive = core.options().exclusive;
  offered.backlog = core.options().backlog;
  offered.dual_stack = core.options().dual_stack;
  offered.device = core.options().device;
  return offered;
}

absl::optional<SocketFile> FileOf(const OfferedSocket& offered, const Address& address) {
  if (!offered.file.has_value() || address.transport() != Transport::kUnix) return absl::nullopt;
  return SocketFile{std::string(address.path()), offered.file->device, offered.file->inode};
}

}  // namespace

absl::Status ListenerSet::Inherit(const OfferedSocket& offered, OwnedFd fd) {
  absl::StatusOr<SocketFacts> facts = Examine(fd.get(), syscalls_);
  if (!facts.ok()) {
    absl::Status status = facts.status();
    // What is wrong with it is the sender's doing, and no call of ours.
    const bool no_listener = absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status);
    if (no_listener) status = absl::DataLossError(status.message());
    return Annotate(status, absl::StrCat("inherit listener \"", offered.listener, "\""));
  }
  peer_names_[offered.listener] = true;
  if (facts->netns_cookie.has_value()) namespace_cookie_ = facts->netns_cookie;
  inherited_.push_back({offered, std::move(fd), *std::move(facts)});
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ListenerCore>> ListenerSet::Listen(absl::string_view name,
                                                                  absl::string_view text,
                                                                  ListenOptions listen_options) {
  if (absl::Status status = CheckListenOptions(name, listen_options); !status.ok()) return status;
  absl::StatusOr<Address> asked = Address::Parse(text);
  if (!asked.ok()) return Annotate(asked.status(), absl::StrCat("listener \"", name, "\""));
  if (listeners_.size() >= kListenersMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("listener \"", name, "\": there are ", kListenersMax, " already"));
  }
  for (const auto& core : listeners_) {
    if (core->name() == name) {
      return absl::AlreadyExistsError(
          absl::StrCat("listener \"", name, "\" listens already on ", core->address().ToString()));
    }
  }
  auto core = std::make_shared<ListenerCore>(std::string(name), *asked, std::move(listen_options),
                                             loop_, callbacks_, log_, enter_(std::string(name)));
  const SocketOptions options = ToSocketOptions(core);
  ListenerReport report;
  report.name = std::string(name);
  std::vector<Inherited> fitting = TakeFitting(core->name(), *asked, options, &report.notes);
  absl::Status made;
  if (!fitting.empty()) {
    made = AdoptInto(core.get(), std::move(fitting), options, &report);
  } else {
    report.fate = peer_names_.count(core->name()) ? ListenerReport::Fate::kRebound
                                                  : ListenerReport::Fate::kAdded;
    made = BindInto(core.get(), *asked, options);
    // The kernel has no second socket on that port, while the one that clients use differs.
    if (absl::IsAlreadyExists(made) && !report.notes.empty()) {
      made = Annotate(made, absl::StrCat("the predecessor's socket differs (",
                                         absl::StrJoin(report.notes, ", "),
                                         ") and is in the way of a new one: change the port too"));
    }
  }
  if (!made.ok()) return Annotate(made, absl::StrCat("listener \"", name, "\""));
  report.address = core->address().ToString();
  reports_.push_back(report);
  listeners_.push_back(core);
  return core;
}

// The sockets of the same name that fit; failing that, one of another name on this very address: a
// listener was renamed.
std::vector<ListenerSet::Inherited> ListenerSet::TakeFitting(const std::string& name,
                                                             const Address& asked,
                                                             const SocketOptions& options,
                                                             std::vector<std::string>* notes) {
  std::vector<Inherited> fitting;
  auto take = [&](auto wanted) {
    for (auto it = inherited_.begin(); it != inherited_.end();) {
      Reconciliation verdict = Reconcile(it->facts, asked, options);
      if (wanted(*it) && verdict.decision == Reconciliation::kKeep) {
        notes->insert(notes->end(), verdict.notes.begin(), verdict.notes.end());
        fitting.push_back(std::move(*it));
        it = inherited_.erase(it);
      } else {
        ++it;
      }
    }
  };
  take([&](const Inherited& each) { return each.offered.listener == name; });
  if (fitting.empty()) take([&](const Inherited& each) { return each.facts.address == asked; });
  if (!fitting.empty()) return fitting;
  for (const Inherited& each : inherited_) {
    if (each.offered.listener != name) continue;
    Reconciliation verdict = Reconcile(each.facts, asked, options);
    notes->insert(notes->end(), verdict.notes.begin(), verdict.notes.end());
  }
  return fitting;
}

absl::Status ListenerSet::AdoptInto(ListenerCore* core, std::vector<Inherited> fitting,
                                    const SocketOptions& options, ListenerReport* report) {
  for (Inherited& each : fitting) {
    absl::Status adopted = AdoptSocket(each.fd.get(), each.facts, options, syscalls_);
    if (!adopted.ok()) return adopted;
    ListenSocket socket;
    socket.address = each.facts.address;
    socket.file = FileOf(each.offered, socket.address);
    socket.fd = std::move(each.fd);
    core->AddSocket(std::move(socket));
  }
  // Only now that all serve: what is claimed the predecessor leaves to us.
  for (const Inherited& each : fitting) {
    const std::string& from = each.offered.listener;
    if (std::find(claims_.begin(), claims_.end(), from) == claims_.end()) claims_.push_back(from);
    if (from != core->name()) report->notes.push_back(absl::StrCat("renamed from \"", from, "\""));
  }
  report->fate = ListenerReport::Fate::kKept;
  return absl::OkStatus();
}

absl::Status ListenerSet::BindInto(ListenerCore* core, const Address& asked,
                                   const SocketOptions& options) {
  absl::StatusOr<BoundSocket> bound = BindSocket(asked, options, syscalls_);
  if (!bound.ok()) return bound.status();
  absl::StatusOr<SocketFacts> facts = Examine(bound->fd.get(), syscalls_);
  if (!facts.ok()) {
    if (bound->file.has_value()) UnlinkOwn(*bound->file).IgnoreError();
    return facts.status();
  }
  // A kernel that does not tell (before 5.14, or behind a filter) has not told of another one.
  const bool both_known = namespace_cookie_.has_value() && facts->netns_cookie.has_value();
  if (both_known && *facts->netns_cookie != *namespace_cookie_ &&
      asked.transport() != Transport::kUnix) {
    return absl::FailedPreconditionError(
        absl::StrCat("bind ", asked.ToString(),
                     ": this process is in another network namespace than the sockets of ",
                     "its predecessor, whose clients would not reach it"));
  }
  ListenSocket socket;
  socket.fd = std::move(bound->fd);
  socket.address = facts->address;
  socket.file = bound->file;
  core->AddSocket(std::move(socket));
  return absl::OkStatus();
}

absl::Status ListenerSet::Finish() {
  for (const auto& core : listeners_) {
    if (absl::Status status = core->Finish(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

std::vector<std::string> ListenerSet::Claims() const { return claims_; }

absl::Status ListenerSet::AddDuplicate(const ListenSocket& socket,
                                       std::vector<OwnedFd>* fds) const {
  OwnedFd fd(syscalls_.Duplicate(socket.fd.get()));
  if (!fd.valid())
    return ErrnoStatus(errno, absl::StrCat("duplicate the socket of ", socket.address.ToString()));
  fds->push_back(std::move(fd));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<OfferedSocket>> ListenerSet::OwnForPeer(
    std::vector<OwnedFd>* fds) const {
  std::vector<OfferedSocket> own;
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (reports_[i].fate != ListenerReport::Fate::kRebound) continue;
    for (const ListenSocket& socket : listeners_[i]->sockets()) {
      if (absl::Status status = AddDuplicate(socket, fds); !status.ok()) return status;
      own.push_back(Describe(*listeners_[i], socket));
    }
  }
  return own;
}

void ListenerSet::CloseUnclaimed() {
  for (Inherited& each : inherited_) {
    auto rebound = std::find_if(listeners_.begin(), listeners_.end(), [&](const auto& core) {
      return core->name() == each.offered.listener;
    });
    ListenerReport left{
        each.offered.listener, each.offered.bound, ListenerReport::Fate::kDropped, {}};
    if (rebound == listeners_.end()) {
      reports_.push_back(left);
      left_.push_back(std::move(left));
    } else if ((*rebound)->address() != each.facts.address) {
      left.fate = ListenerReport::Fate::kRebound;
      left.notes.push_back(absl::StrCat("rebound to ", (*rebound)->address().ToString()));
      left_.push_back(std::move(left));
    }
  }
  inherited_.clear();
}

void ListenerSet::WarnOfLeft() const {
  for (const ListenerReport& left : left_) {
    log_->Warning("listener.dropped",
                  absl::StrCat("listener \"", left.name, "\": nobody accepts on ", left.address,
                               " any more (",
                               left.notes.empty() ? "this version does not listen there"
                                                  : absl::StrJoin(left.notes, ", "),
                               ")"),
                  {{"listener", left.name}, {"address", left.address}});
  }
}

absl::StatusOr<std::vector<OfferedSocket>> ListenerSet::Offer(std::vector<OwnedFd>* fds) const {
  std::vector<OfferedSocket> offered;
  for (const auto& core : listeners_) {
    for (const ListenSocket& socket : core->sockets()) {
      if (!socket.ours()) continue;
      if (absl::Status status = AddDuplicate(socket, fds); !status.ok()) return status;
      offered.push_back(Describe(*core, socket));
    }
  }
  return offered;
}

void ListenerSet::Claim(const std::vector<std::string>& names) {
  for (const auto& core : listeners_) {
    const bool claimed = std::find(names.begin(), names.end(), core->name()) != names.end();
    for (ListenSocket& socket : core->sockets()) socket.claimed = claimed && socket.ours();
  }
}

absl::Status ListenerSet::Borrow(const OfferedSocket& offered, OwnedFd fd) {
  absl::StatusOr<SocketFacts> facts = Examine(fd.get(), syscalls_);
  if (!facts.ok()) return facts.status();
  for (const auto& core : listeners_) {
    if (core->name() != offered.listener || core->transport() != facts->address.transport())
      continue;
    ListenSocket socket;
    socket.address = facts->address;
    socket.fd = std::move(fd);
    socket.borrowed = true;
    core->AddSocket(std::move(socket));
    break;
  }
  return absl::OkStatus();  // a name that is not ours: nobody here could serve it
}

void ListenerSet::ForgetPeer() {
  for (const auto& core : listeners_) core->ForgetPeer();
}

void ListenerSet::SetAccepts(Accepts accepts, bool exclusive) {
  for (const auto& core : listeners_) core->SetAccepts(accepts, exclusive);
}

void ListenerSet::WhenStopped(Task task) {
  // Held by each listener's part of the wait; the last one to let go runs it.
  struct All {
    explicit All(Task last) : task(std::move(last)) {}
    ~All() { task(); }
    Task task;
  };
  auto all = std::make_shared<All>(std::move(task));
  for (const auto& core : listeners_) core->WhenStopped([all] {});
}

std::vector<std::string> ListenerSet::Added() const {
  std::vector<std::string> added;
  for (const ListenerReport& report : reports_) {
    if (report.fate != ListenerReport::Fate::kAdded) continue;
    added.push_back(absl::StrCat(report.name, " ", report.address));
  }
  return added;
}

void ListenerSet::HoldUntilStopped(absl::FunctionRef<Ticket(const std::string& name)> enter) {
  for (const auto& core : listeners_) {
    core->WhenStopped([ticket = enter(core->name())]() mutable { ticket.Reset(); });
  }
}

void ListenerSet::Detach() {
  for (const auto& core : listeners_) core->Detach();
}

bool ListenerSet::ready() const {
  return std::all_of(listeners_.begin(), listeners_.end(),
                     [](const auto& core) { return core->ready(); });
}

void ListenerSet::Close(bool take_queued) {
  for (const auto& core : listeners_) core->Close(take_queued);
}

void ListenerSet::End(const std::map<std::string, std::string>& keep) {
  for (const auto& core : listeners_) {
    if (keep.count(core->name()) == 0) core->End();
  }
}

std::vector<ReadsFrame> ListenerSet::Reads() const {
  std::vector<ReadsFrame> reads;
  for (const auto& core : listeners_) {
    if (!core->migrates() || reads.size() == kMigratingListenersMax) continue;
    ReadsFrame frame{core->name(), core->options().migration_reads};
    frame.formats.insert(frame.formats.begin(), core->options().migration_format);
    reads.push_back(std::move(frame));
  }
  return reads;
}

std::map<std::string, std::string> ListenerSet::Movable(
    const std::map<std::string, std::vector<std::string>>& peer_reads) const {
  std::map<std::string, std::string> movable;
  for (const auto& core : listeners_) {
    auto reads = peer_reads.find(core->name());
    if (!core->migrates() || reads == peer_reads.end()) continue;
    const std::string& format = core->options().migration_format;
    if (absl::c_linear_search(reads->second, format)) movable[core->name()] = format;
  }
  return movable;
}

ListenerCore* ListenerSet::Find(absl::string_view name) const {
  for (const auto& core : listeners_) {
    if (core->name() == name) return core.get();
  }
  return nullptr;
}

void ListenerSet::Unlink() {
  for (const auto& core : listeners_) {
    for (const ListenSocket& socket : core->sockets()) {
      if (!socket.file.has_value() || socket.borrowed) continue;
      absl::Status status = UnlinkOwn(*socket.file);
      if (!status.ok()) log_->Warning("listener.unlink", status.ToString());
    }
  }
}

void ListenerSet::KeepFiles() {
  for (const auto& core : listeners_) core->KeepFiles();
}

std::map<std::string, int> ListenerSet::ClaimedQueues() const {
  std::map<std::string, int> queues;
  for (const auto& core : listeners_) {
    for (const ListenSocket& socket : core->sockets()) {
      if (!socket.claimed) continue;
      absl::optional<int> length = AcceptQueueLength(socket.fd.get());
      if (length.has_value()) queues[core->name()] += *length;
    }
  }
  return queues;
}

std::vector<ListenerReport> ListenerSet::FatesUnderSuccessor() const {
  std::vector<ListenerReport> fates;
  for (const auto& core : listeners_) {
    ListenerReport report{
        core->name(), core->address().ToString(), ListenerReport::Fate::kDropped, {}};
    for (const ListenSocket& socket : core->sockets()) {
      if (socket.claimed) report.fate = ListenerReport::Fate::kKept;
      if (!socket.borrowed) continue;
      report.fate = ListenerReport::Fate::kRebound;
      report.notes.push_back(absl::StrCat("now on ", socket.address.ToString()));
    }
    fates.push_back(std::move(report));
  }
  return fates;
}

}  // namespace zdd
