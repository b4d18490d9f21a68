// PushAccept accepts on the loop and gives each connection to a callback.
//
// Threads: the loop. See accept_mode.h.
#ifndef ZDD_SERVICE_PUSH_ACCEPT_H_
#define ZDD_SERVICE_PUSH_ACCEPT_H_

#include <map>
#include <memory>
#include <vector>

#include "zdd/service/accept_mode.h"
#include "zdd/service/service.h"

namespace zdd {

class PushAccept : public AcceptMode {
 public:
  PushAccept(AcceptContext context, absl::AnyInvocable<void(Connection)> callback);
  ~PushAccept() override;

  void SetSockets(std::vector<ActiveSocket> sockets, Task stopped) override;
  void TakeQueued(int fd) override;
  bool delivers() const override { return true; }
  bool Deliver(Connection connection, Task taken) override;
  void End() override {}
  bool ready() const override { return true; }

 private:
  // So many connections are accepted from one socket before the loop sees to others.
  static constexpr int kAcceptsPerTurn = 64;

  void Watch();
  void OnReadable(ActiveSocket socket);
  void Accept(OwnedFd fd, Address peer);
  void BackOff(int error);

  AcceptContext context_;
  std::shared_ptr<absl::AnyInvocable<void(Connection)>> callback_;
  std::vector<ActiveSocket> sockets_;
  std::map<int, std::unique_ptr<zdd::Watch>> watches_;  // by fd
  Timer again_;
  absl::Duration back_off_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_PUSH_ACCEPT_H_
