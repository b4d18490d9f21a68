// Readiness asks the embedder's checks, again and again, until all have passed or one has failed.
//
//   Readiness readiness(loop, callbacks, std::move(checks), [](absl::Status status) { ... });
//   readiness.Start();      // the callback is told once: Ok, or the error of the check that failed
//
// Checks that an executor drops unrun have failed: Cancelled.
//
// Threads: the loop; checks run as callbacks do. Lifetime: after destruction nothing is called.
#ifndef ZDD_SERVICE_READINESS_H_
#define ZDD_SERVICE_READINESS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "zdd/service/callbacks.h"
#include "zdd/service/loop.h"

namespace zdd {

class Readiness {
 public:
  struct Check {
    std::string name;
    absl::AnyInvocable<absl::Status()> run;
  };

  Readiness(Loop* loop, Callbacks* callbacks, std::vector<Check> checks,
            std::function<void(absl::Status)> done);

  void Start() { Ask(); }

 private:
  // What is left to pass; shared with the callback that asks it.
  using Checks = std::vector<Check>;
  struct Answer;

  static absl::Status RunAll(Checks* checks);
  void Ask();
  void OnAnswer(absl::Status status);

  Loop* const loop_;
  Callbacks* const callbacks_;
  const std::shared_ptr<Checks> checks_;
  const std::function<void(absl::Status)> done_;
  Timer again_;
  // Guards what executors keep.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_READINESS_H_
