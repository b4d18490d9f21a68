#include "zdd/service/readiness.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr absl::Duration kAskAgain = absl::Milliseconds(20);

}  // namespace

// Told when it goes, so that also those who drop the question answer it.
struct Readiness::Answer {
  ~Answer() { tell(std::move(status)); }

  std::function<void(absl::Status)> tell;
  absl::Status status = absl::CancelledError("readiness checks: options.executor dropped them");
};

Readiness::Readiness(Loop* loop, Callbacks* callbacks, std::vector<Check> checks,
                     std::function<void(absl::Status)> done)
    : loop_(loop),
      callbacks_(callbacks),
      checks_(std::make_shared<Checks>(std::move(checks))),
      done_(std::move(done)),
      again_(loop) {}

// Those that have passed are not asked again.
absl::Status Readiness::RunAll(Checks* checks) {
  while (!checks->empty()) {
    Check& check = checks->front();
    absl::Status status = check.run();
    if (!status.ok()) return Annotate(status, absl::StrCat("readiness check \"", check.name, "\""));
    checks->erase(checks->begin());
  }
  return absl::OkStatus();
}

void Readiness::Ask() {
  auto answer = std::make_unique<Answer>();
  answer->tell = [this, weak = std::weak_ptr<bool>(alive_),
                  post = loop_->poster()](absl::Status status) {
    post([this, weak, status] {
      if (!weak.expired()) OnAnswer(status);
    });
  };
  callbacks_->Run([checks = checks_, answer = std::move(answer)]() mutable {
    answer->status = RunAll(checks.get());
    answer.reset();
  });
}

void Readiness::OnAnswer(absl::Status status) {
  if (absl::IsUnavailable(status)) return again_.Start(kAskAgain, [this] { Ask(); });
  done_(std::move(status));
}

}  // namespace zdd
