// ListenerCore is a named listener: its sockets, the way in which it accepts, and which of the
// sockets it accepts from now.
//
//   core->SetAccepts(Accepts::kAll, /*exclusive=*/true);
//   core->SetAccepts(Accepts::kUnclaimed, true);            // standby: only what the successor
//   does not serve core->WhenStopped([] { ... });
//
// Threads: the loop, but for what Listener offers to any thread. Lifetime: shared by the service,
// and by handles.
#ifndef ZDD_SERVICE_LISTENER_CORE_H_
#define ZDD_SERVICE_LISTENER_CORE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "zdd/base/seldom.h"
#include "zdd/drain/ticket_table.h"
#include "zdd/handoff/frames.h"
#include "zdd/handoff/handoff_table.h"
#include "zdd/net/address.h"
#include "zdd/net/socket.h"
#include "zdd/net/socket_facts.h"
#include "zdd/net/socket_file.h"
#include "zdd/service/accept_mode.h"
#include "zdd/service/event_log.h"
#include "zdd/service/options.h"
#include "zdd/service/pull_accept.h"

namespace zdd {

// One socket of a listener.
struct ListenSocket {
  OwnedFd fd;
  Address address;  // with the real port
  absl::optional<SocketFile> file;
  int index = 0;
  bool claimed = false;   // the successor serves it
  bool borrowed = false;  // it is the successor's: served only when that one cannot
  bool nameless = false;  // its file is gone and another socket has the name: only emptied

  // Whether it is the one to give to a successor.
  bool ours() const { return !borrowed && !nameless; }
};

class ListenerCore : public std::enable_shared_from_this<ListenerCore> {
 public:
  ListenerCore(std::string name, Address asked, ListenOptions options, std::shared_ptr<Loop> loop,
               Callbacks* callbacks, std::shared_ptr<EventLog> log,
               std::function<Ticket(int fd)> enter);

  const std::string& name() const { return name_; }
  const ListenOptions& options() const { return options_; }
  // Of the first socket; any thread.
  Address address() const;
  Transport transport() const { return asked_.transport(); }
  const Address& asked() const { return asked_; }
  std::function<absl::Status(int fd)> hook();

  void AddSocket(ListenSocket socket);
  std::vector<ListenSocket>& sockets() { return sockets_; }

  // How it accepts: one of these, once. FailedPrecondition the second time.
  absl::Status OnConnection(absl::AnyInvocable<void(Connection)> callback);
  absl::Status AcceptWith(Acceptor* acceptor);
  // Becomes a pull listener if it is none of the others.
  absl::Status Finish();

  absl::optional<Connection> Accept();  // any thread
  Ticket Enter(int fd) { return enter_(fd); }
  void Pause(bool paused);  // any thread

  // It accepts nothing, paused or not. `stopped` runs when no accept can follow.
  void SetDraining(bool draining, Task stopped = nullptr);
  bool draining() const { return draining_; }

  // Live migration (ListenOptions::migration_format).
  bool migrates() const { return !options_.migration_format.empty(); }
  bool Reads(absl::string_view format) const;
  // Serves a connection that was begun elsewhere, or here and did not get away (then with the
  // ticket that it has). False: this listener cannot, and the connection is closed.
  bool Deliver(OwnedFd fd, absl::optional<Ticket> ticket, std::string state, Task taken);

  void SetAccepts(Accepts accepts, bool exclusive);
  // `task` runs when no accept from a socket that is not wanted can follow.
  void WhenStopped(Task task);
  // Whether somebody would take a connection now.
  bool ready() const { return mode_ == nullptr || mode_->ready(); }
  void WhenReady(std::function<void()> callback) { on_ready_ = std::move(callback); }

  // The handoff has ended badly for the successor: its sockets are emptied and closed, ours are
  // ours again.
  void ForgetPeer();
  // Closes all sockets, for good. `take_queued`: what waits on those that no successor serves is
  // accepted first. A successor that gives up takes nothing: its predecessor serves that queue.
  void Close(bool take_queued);
  // Looks whether the files of Unix sockets are still there, and binds anew those that are not: a
  // cleaner of /tmp has removed them, and no client finds us. Not in a handoff. The socket that has
  // lost its name is served until a later look finds its queue empty. Logs, each once:
  // `listener.remade`; `listener.replaced`: something lies there that is not ours, and is left
  // alone; `listener.lost`: it cannot be bound now, and is tried again at each look.
  void KeepFiles();
  void End();     // Accept() ends. Nothing can be delivered any more
  void Detach();  // the loop goes

 private:
  void SetPaused(bool paused);
  void Apply(Task stopped);
  absl::Status SetMode(std::shared_ptr<AcceptMode> mode);
  AcceptContext Context();
  void WarnOfExhaustion(int error);  // any thread
  void Repair(int index);
  void Rebind(size_t i);
  void CloseEmptied();
  int FreeIndex() const;
  SocketOptions BindOptions();

  const std::string name_;
  const Address asked_;
  ListenOptions options_;
  const std::shared_ptr<Loop> loop_;  // a handle may outlive the service
  Callbacks* const callbacks_;
  const std::shared_ptr<EventLog> log_;
  const std::function<Ticket(int fd)> enter_;

  std::vector<ListenSocket> sockets_;
  mutable Mutex mutex_;
  Address address_ ABSL_GUARDED_BY(mutex_);
  Seldom exhausted_;
  std::shared_ptr<AcceptMode> mode_;
  std::shared_ptr<PullAccept>
      pull_;  // mode_, if it is that; for Accept() of any thread. Set before Start()
  std::function<void()> on_ready_;
  Accepts accepts_ = Accepts::kNone;
  bool serves_exclusive_ = false;
  bool paused_ = false;
  bool draining_ = false;
  bool closed_ = false;
  std::string told_;  // what was last told of a lost file
};

}  // namespace zdd

#endif  // ZDD_SERVICE_LISTENER_CORE_H_
