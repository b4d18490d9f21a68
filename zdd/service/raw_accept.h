// RawAccept gives fresh duplicates of the sockets to an Acceptor of the embedder, and takes them
// back by Stop().
//
// Threads: the loop; the acceptor is called through Callbacks. See accept_mode.h.
#ifndef ZDD_SERVICE_RAW_ACCEPT_H_
#define ZDD_SERVICE_RAW_ACCEPT_H_

#include <map>
#include <memory>
#include <vector>

#include "zdd/service/accept_mode.h"
#include "zdd/service/service.h"

namespace zdd {

class RawAccept : public AcceptMode, public std::enable_shared_from_this<RawAccept> {
 public:
  RawAccept(AcceptContext context, Acceptor* acceptor);

  void SetSockets(std::vector<ActiveSocket> sockets, Task stopped) override;
  void TakeQueued(int) override {}  // only the acceptor knows what to do with a connection
  bool delivers() const override { return false; }
  bool Deliver(Connection, Task) override { return false; }
  void End() override {}
  bool ready() const override { return true; }

 private:
  enum class State { kStopped, kStarted, kStopping };
  struct Socket {
    State state = State::kStopped;
    int wanted = -1;  // the fd to accept from; -1: none
  };

  void Advance(int index);
  void OnStopped(int index);
  void TellIfStopped();

  AcceptContext context_;
  Acceptor* const acceptor_;
  std::map<int, Socket> sockets_;  // by index
  std::vector<Task> waiting_;
  Timer again_;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_RAW_ACCEPT_H_
