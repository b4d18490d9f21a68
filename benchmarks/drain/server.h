// MovingServer is an example server whose connections move at each restart, and what its log tells
// of when.
//
//   auto server = MovingServer::Start({"/path/epoll", address, "60s"}, runtime_dir);
//   (*server)->Upgrade();
//   absl::StatusOr<MovingServer::Move> move = (*server)->AwaitMove();
//   Note(move->drained - move->commit);
//
// A line of the log is stamped when a thread of this object has read it: some 0.1 ms late.
//
// Threads: one. Lifetime: a guard (examples/demo/guard.h) ends the processes. Errors: what was
// waited for did not come.
#ifndef BENCHMARKS_DRAIN_SERVER_H_
#define BENCHMARKS_DRAIN_SERVER_H_

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"

namespace zdd {

class MovingServer {
 public:
  struct Move {
    Instant commit;   // the successor says that it serves
    Instant drained;  // the predecessor says that nothing is left
    Instant gone;     // its process has ended
  };

  static absl::StatusOr<std::unique_ptr<MovingServer>> Start(const std::vector<std::string>& words,
                                                             const std::string& runtime_dir);
  ~MovingServer();
  MovingServer(const MovingServer&) = delete;
  MovingServer& operator=(const MovingServer&) = delete;

  absl::Status Upgrade();
  // Of the upgrade that was begun.
  absl::StatusOr<Move> AwaitMove();

 private:
  MovingServer(OwnedFd log, pid_t owner);
  void ReadLog();
  absl::StatusOr<Instant> Await(const std::string& text);
  absl::StatusOr<pid_t> PidAfter(const std::string& text);

  const OwnedFd log_;
  std::atomic<bool> stopped_{false};
  pid_t owner_;
  int generation_ = 1;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::pair<Instant, std::string>> lines_ ABSL_GUARDED_BY(mutex_);
  std::thread reader_;
};

}  // namespace zdd

#endif  // BENCHMARKS_DRAIN_SERVER_H_
