// ListenerSet holds all listeners of one generation, and while it starts, the sockets that its
// predecessor gave it.
//
//   set.Inherit(offer, std::move(fds));                        // while joining
//   auto http = set.Listen("http", "tcp://0.0.0.0:80", {});    // the predecessor's socket if it
//   fits, else a new one set.CloseUnclaimed();
//
// Threads: the loop, or the thread in Create() and Listen() while no loop turns. Lifetime: dies
// with the service.
#ifndef ZDD_SERVICE_LISTENER_SET_H_
#define ZDD_SERVICE_LISTENER_SET_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zdd/base/syscalls.h"
#include "zdd/handoff/frames.h"
#include "zdd/handoff/handoff_table.h"
#include "zdd/service/listener_core.h"
#include "zdd/service/report.h"

namespace zdd {

inline constexpr int kListenersMax = 1000;
// Further ones with a migration format keep their connections.
inline constexpr size_t kMigratingListenersMax = 64;

class ListenerSet {
 public:
  // `enter` makes the tickets of the listener of that name.
  ListenerSet(std::shared_ptr<Loop> loop, Callbacks* callbacks, std::shared_ptr<EventLog> log,
              std::function<std::function<Ticket(int fd)>(const std::string& listener)> enter,
              Syscalls& syscalls = Syscalls::Real())
      : loop_(std::move(loop)),
        callbacks_(callbacks),
        log_(std::move(log)),
        enter_(std::move(enter)),
        syscalls_(syscalls) {}

  // What a successor receives. DataLoss for what is no socket, or of a family that zdd does not
  // know.
  absl::Status Inherit(const OfferedSocket& offered, OwnedFd fd);

  absl::StatusOr<std::shared_ptr<ListenerCore>> Listen(absl::string_view name,
                                                       absl::string_view address,
                                                       ListenOptions options);
  // Each listener has its way to accept from now on.
  absl::Status Finish();

  // What a successor says in `prepared`: the predecessor's names whose sockets it serves, and the
  // sockets that it bound itself for names which the predecessor serves too (`fds` gets duplicates
  // of them).
  std::vector<std::string> Claims() const;
  absl::StatusOr<std::vector<OfferedSocket>> OwnForPeer(std::vector<OwnedFd>* fds) const;
  // Sockets that this version has no use for. The predecessor serves them until it drains.
  void CloseUnclaimed();
  // Once we have taken over: says which addresses have nobody now. They are often left by mistake,
  // by a second start under the name of the first.
  void WarnOfLeft() const;

  // What a predecessor offers; `fds` gets duplicates, in order.
  absl::StatusOr<std::vector<OfferedSocket>> Offer(std::vector<OwnedFd>* fds) const;
  void Claim(const std::vector<std::string>& names);
  absl::Status Borrow(const OfferedSocket& offered, OwnedFd fd);
  void ForgetPeer();

  // Live migration: what each listener writes and reads, by its name, and serving what has moved.
  // Nobody here: null.
  std::vector<ReadsFrame> Reads() const;
  // Listeners whose connections that peer can take, with the format in which they are written.
  std::map<std::string, std::string> Movable(
      const std::map<std::string, std::vector<std::string>>& peer_reads) const;
  ListenerCore* Find(absl::string_view name) const;

  void SetAccepts(Accepts accepts, bool exclusive);
  void WhenStopped(Task task);
  // A ticket of `enter(name)` is held for each listener until no accept of its can follow.
  void HoldUntilStopped(absl::FunctionRef<Ticket(const std::string& name)> enter);
  // Lets go of the loop, for good; handles may live on.
  void Detach();
  bool ready() const;
  void Close(bool take_queued);
  // Nothing comes any more; but for connections that may come back, to those that `keep` has.
  void End(const std::map<std::string, std::string>& keep = {});
  void Unlink();
  void KeepFiles();  // see ListenerCore

  // Names whose queue holds more than nothing, and how many wait, where the kernel tells.
  std::map<std::string, int> ClaimedQueues() const;
  const std::vector<ListenerReport>& reports() const { return reports_; }
  // What becomes of the predecessor's listeners under a successor that claims `names`, as far as
  // the predecessor can know.
  std::vector<ListenerReport> FatesUnderSuccessor() const;
  // What the predecessor does not have, as ServingFrame tells it: "NAME ADDRESS".
  std::vector<std::string> Added() const;
  size_t size() const { return listeners_.size(); }

 private:
  struct Inherited {
    OfferedSocket offered;
    OwnedFd fd;
    SocketFacts facts;
  };

  std::vector<Inherited> TakeFitting(const std::string& name, const Address& asked,
                                     const SocketOptions& options, std::vector<std::string>* notes);
  absl::Status AdoptInto(ListenerCore* core, std::vector<Inherited> fitting,
                         const SocketOptions& options, ListenerReport* report);
  absl::Status AddDuplicate(const ListenSocket& socket, std::vector<OwnedFd>* fds) const;
  absl::Status BindInto(ListenerCore* core, const Address& asked, const SocketOptions& options);

  const std::shared_ptr<Loop> loop_;
  Callbacks* const callbacks_;
  const std::shared_ptr<EventLog> log_;
  const std::function<std::function<Ticket(int fd)>(const std::string&)> enter_;
  Syscalls& syscalls_;
  std::vector<std::shared_ptr<ListenerCore>> listeners_;
  std::vector<Inherited> inherited_;
  std::vector<std::string> claims_;            // names of the predecessor
  std::map<std::string, bool> peer_names_;     // all names that it serves
  absl::optional<uint64_t> namespace_cookie_;  // of what was inherited
  std::vector<ListenerReport> reports_;
  std::vector<ListenerReport> left_;  // addresses of the predecessor that we did not take
};

}  // namespace zdd

#endif  // ZDD_SERVICE_LISTENER_SET_H_
