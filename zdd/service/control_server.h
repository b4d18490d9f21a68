// ControlServer answers the control socket while this generation owns it: it takes in whoever
// connects, checks who that is, and waits for the first frame.
//
//   ControlServer server(loop, log, std::move(socket), [](std::shared_ptr<Peer> peer, Frame first)
//   { ... });
//
// Threads: the loop. Lifetime: visitors that have not spoken yet die with it.
#ifndef ZDD_SERVICE_CONTROL_SERVER_H_
#define ZDD_SERVICE_CONTROL_SERVER_H_

#include <functional>
#include <map>
#include <memory>

#include "zdd/base/owned_fd.h"
#include "zdd/handoff/frames.h"
#include "zdd/service/event_log.h"
#include "zdd/service/loop.h"
#include "zdd/service/peer.h"

namespace zdd {

// Who connects and says nothing is sent away after this.
inline constexpr absl::Duration kVisitorSilence = absl::Seconds(1);
inline constexpr size_t kVisitorsMax = 16;

class ControlServer {
 public:
  ControlServer(Loop* loop, EventLog* log, int listener,
                std::function<void(std::shared_ptr<Peer> peer, Frame first)> on_visitor);
  ~ControlServer();

 private:
  struct Visitor {
    std::shared_ptr<Peer> peer;
    std::unique_ptr<Timer> silence;
  };

  void OnReadable();
  void Welcome(OwnedFd fd);
  void Remove(Peer* peer);

  Loop* const loop_;
  EventLog* const log_;
  const int listener_;
  const std::function<void(std::shared_ptr<Peer>, Frame)> on_visitor_;
  OwnedFd spare_;  // given up to answer a visitor when the process has no descriptors left
  Timer again_;
  std::unique_ptr<Watch> watch_;
  std::map<Peer*, Visitor> visitors_;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_CONTROL_SERVER_H_
