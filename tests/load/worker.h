// Worker is one thread of a LoadClient with its users.
//
// Threads: Add before Run; the others from any thread. Lifetime: `timeline` and `server` outlive
// it; the destructor stops.
#ifndef TESTS_LOAD_WORKER_H_
#define TESTS_LOAD_WORKER_H_

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/load/options.h"
#include "tests/load/reactor.h"
#include "tests/load/recorder.h"
#include "tests/load/timeline.h"
#include "tests/load/user.h"
#include "zdd/net/address.h"

namespace zdd {

class Worker {
 public:
  static absl::StatusOr<std::unique_ptr<Worker>> Create(const LoadOptions& options,
                                                        const Address* server, Timeline* timeline);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // User number `number` of the options' group `group`.
  void Add(int group, int number);
  void Run();

  void RestartOver();
  // Every user ends what it has begun. Join() waits for that.
  void Stop();
  void Join();

  void AddTo(LoadReport* report) const { recorder_.AddTo(report); }

 private:
  Worker(const LoadOptions& options, const Address* server, Timeline* timeline,
         std::unique_ptr<Reactor> reactor);
  void Loop();
  bool AllStopped() const;

  const LoadOptions options_;
  const Address* const server_;
  const std::unique_ptr<Reactor> reactor_;
  Recorder recorder_;
  std::vector<char> buffer_;
  std::vector<std::unique_ptr<User>> users_;

  // Orders to the loop, which is woken after each: it reads with exchange, so that none is missed
  // or obeyed twice.
  std::atomic<bool> restart_over_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace zdd

#endif  // TESTS_LOAD_WORKER_H_
