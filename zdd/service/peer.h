// Peer is another generation as this one sees it: the channel to it, and the means to know whether
// it lives.
//
//   auto peer = std::make_shared<Peer>(loop, std::move(channel), std::move(pidfd),
//   Peer::Listener{...}); peer->Start(); peer->Send(AcceptFrame{});
//
// A peer is dead when its pidfd says so, since a forked child of it may hold the channel open;
// where no pidfd is to be had, at the end of file. Death is told after everything that it sent. A
// peer that closes its channel and lives on is told as garbage. Frames that do not fit into the
// kernel's queue wait in one of ours.
//
// Threads: the loop. Lifetime: held by a shared_ptr; after Close() nothing calls back, also not
// within a callback.
#ifndef ZDD_SERVICE_PEER_H_
#define ZDD_SERVICE_PEER_H_

#include <sys/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"
#include "zdd/handoff/frames.h"
#include "zdd/net/fd_channel.h"
#include "zdd/service/loop.h"
#include "zdd/service/report.h"

namespace zdd {

class Peer : public std::enable_shared_from_this<Peer> {
 public:
  struct Listener {
    std::function<void(Frame frame, std::vector<OwnedFd> fds)> on_frame;  // never a ping
    std::function<void(absl::Status status)> on_garbage;
    std::function<void()> on_dead;  // once
  };

  // `pidfd` may be invalid.
  Peer(Loop* loop, FdChannel channel, OwnedFd pidfd, Listener listener);
  ~Peer();

  void Start();
  void SetListener(Listener listener) { listener_ = std::move(listener); }

  // Queued if need be. A peer that reads nothing for kQueueMax frames is garbage.
  void Send(const Frame& frame, std::vector<OwnedFd> fds = {});

  // Reads, and tells, everything that is there now.
  void ReadAll();

  // Who sent the last frame, by the kernel's word; 0: not told.
  pid_t speaker() const { return speaker_; }
  // That one is the peer from now on: its death is the peer's.
  void FollowSpeaker();

  // Ends its process, if a pidfd of it was to be had.
  void Kill();

  void Close();
  bool closed() const { return closed_; }
  bool dead() const { return dead_; }

  // Who it says it is, and by the kernel's word.
  GenerationInfo info;

  // When a frame was last read.
  Instant last_heard() const { return last_heard_; }
  int pidfd() const { return pidfd_.get(); }

 private:
  static constexpr size_t kQueueMax = 1024;

  struct Outgoing {
    std::string bytes;
    std::vector<OwnedFd> fds;
  };

  void ReadQueue();
  bool ReadOne();
  void Deliver(Received received);
  bool OnBroken(const absl::Status& status);
  void OnEndOfFile();
  void Die();
  void Garbage(const absl::Status& status);
  void Flush();
  bool TrySend(const Outgoing& outgoing);

  Loop* const loop_;
  FdChannel channel_;
  OwnedFd pidfd_;
  Listener listener_;
  std::deque<Outgoing> queue_;
  Timer retry_;  // sending again, where poll does not tell when; then the wait for a death
  std::unique_ptr<Watch> watch_;  // the channel
  std::unique_ptr<Watch> death_;
  Instant last_heard_;
  pid_t speaker_ = 0;
  bool end_of_file_ = false;  // no frame can follow
  bool dead_ = false;
  bool closed_ = false;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_PEER_H_
