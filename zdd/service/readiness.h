// Readiness asks the embedder's checks, again and again, until all have passed or one has failed.
//
//   Readiness readiness(loop, callbacks, std::move(checks), [](absl::Status status) { ... });   //
//   Ok: ready readiness.Start();
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

  void Start();
  // What is still missing: "readiness check "db": connecting".
  const absl::Status& last() const { return *last_; }

 private:
  struct Checks {
    std::vector<Check> left;
  };

  void Ask();
  void OnAnswer(absl::Status status);

  Loop* const loop_;
  Callbacks* const callbacks_;
  const std::shared_ptr<Checks> checks_;
  const std::function<void(absl::Status)> done_;
  Timer again_;
  const std::shared_ptr<absl::Status> last_ = std::make_shared<absl::Status>();
};

}  // namespace zdd

#endif  // ZDD_SERVICE_READINESS_H_
