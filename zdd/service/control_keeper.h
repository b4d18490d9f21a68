// ControlKeeper is the control socket as one generation holds it: the runtime directory, descriptor
// and file, and the server that answers there. While its generation owns the service it also keeps
// the socket where successors look for it: cleaners of /tmp remove such files, and directories.
//
//   ControlKeeper control(loop, log, std::move(dir), "hello", on_visitor);
//   control.Hold(std::move(socket));
//   control.Own();                        // answers there, under our name
//   control.SetKept(true);                // serving, and not in a handoff
//
// Threads: the loop; before Hold() that of Create. Lifetime: the loop and the log outlive it.
// Errors: are logged, each once. `control.remade`: it was gone, or left stale by a start that
// failed, and is there again. `control.replaced`: something lives there that is not ours; it is
// left alone. `control.lost`: it is gone and cannot be made now; tried again at each look.
#ifndef ZDD_SERVICE_CONTROL_KEEPER_H_
#define ZDD_SERVICE_CONTROL_KEEPER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "zdd/handoff/frames.h"
#include "zdd/service/control_server.h"
#include "zdd/service/control_socket.h"
#include "zdd/service/event_log.h"
#include "zdd/service/loop.h"
#include "zdd/service/peer.h"
#include "zdd/service/runtime_dir.h"

namespace zdd {

// A copy that is started by hand finds its predecessor again within this.
inline constexpr absl::Duration kControlLookPeriod = absl::Seconds(10);

class ControlKeeper {
 public:
  using OnVisitor = std::function<void(std::shared_ptr<Peer> peer, Frame first)>;

  ControlKeeper(Loop* loop, EventLog* log, RuntimeDir dir, std::string service,
                OnVisitor on_visitor, absl::Duration look_period = kControlLookPeriod);

  const RuntimeDir& dir() const { return dir_; }
  bool holds() const { return socket_.fd.valid(); }

  // One that we have bound, or a predecessor's; nothing answers there yet, but that predecessor.
  void Hold(ControlSocket socket);
  void Inherit(const OfferedSocket& offered, OwnedFd fd);
  // Answers. Who has bound it does so before it owns, so that visitors are told to come later.
  void Serve();
  // Serves, and shows this process to those who connect.
  void Own();
  // Looks whether the file is still there, now and from time to time. Off in a handoff: the socket
  // that travels in the offer has to stay the one.
  void SetKept(bool kept);
  // What else is to be looked after at these times: other files of the service.
  void AlsoLook(std::function<void()> look) { also_look_ = std::move(look); }

  // A duplicate for a successor.
  absl::StatusOr<OwnedFd> Offer(OfferedSocket* offered) const;
  // It is the successor's.
  void Close();
  // The last owner's farewell.
  absl::Status Unlink();

 private:
  void Look();
  void LookAtAll();
  absl::Status Remake();
  void TellOnce(absl::string_view event, std::string message);

  Loop* const loop_;
  EventLog* const log_;
  const std::string service_;
  const OnVisitor on_visitor_;
  const absl::Duration look_period_;
  std::function<void()> also_look_;
  RuntimeDir dir_;
  ControlSocket socket_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<Timer> look_;  // null: not kept
  std::string told_;             // what was last told of a loss that lasts
};

}  // namespace zdd

#endif  // ZDD_SERVICE_CONTROL_KEEPER_H_
