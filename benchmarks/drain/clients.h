// Clients of a server whose connections move: many that wait, and some that ask all the time and
// time each answer.
//
//   auto idle = OpenIdle(address, 10'000);
//   Askers askers(address, 10);
//   ...
//   askers.Stop();
//   absl::Duration p99 = askers.P99(move.commit, move.drained);
//
// Threads: one. Errors: what connect() says; an answer that does not come ends the run.
#ifndef BENCHMARKS_DRAIN_CLIENTS_H_
#define BENCHMARKS_DRAIN_CLIENTS_H_

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"
#include "zdd/net/address.h"

namespace zdd {

// Connections on each of which one request was answered.
absl::StatusOr<std::vector<OwnedFd>> OpenIdle(const Address& address, int count);

// Each on its connection asks, waits for the answer, and rests for kRest.
class Askers {
 public:
  static constexpr absl::Duration kRest = absl::Milliseconds(2);

  Askers(const Address& address, int count);
  ~Askers() { Stop(); }
  void Stop();

  // Not ok: one got no answer, or had to connect again.
  const absl::Status& status() const { return status_; }
  // Of requests that were under way between the two. After Stop(). None: there were too few.
  absl::optional<absl::Duration> P99(Instant from, Instant to) const;

 private:
  struct Answered {
    Instant asked;
    Instant answered;
  };
  struct Asker {
    std::thread thread;
    std::vector<Answered> answers;
    absl::Status status;
  };
  void Run(const Address& address, Asker* asker);

  std::atomic<bool> stopped_{false};
  std::vector<Asker> askers_;
  absl::Status status_;
};

}  // namespace zdd

#endif  // BENCHMARKS_DRAIN_CLIENTS_H_
