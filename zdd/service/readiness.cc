#include "zdd/service/readiness.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr absl::Duration kAskAgain = absl::Milliseconds(20);

}  // namespace

Readiness::Readiness(Loop* loop, Callbacks* callbacks, std::vector<Check> checks,
                     std::function<void(absl::Status)> done)
    : loop_(loop),
      callbacks_(callbacks),
      checks_(std::make_shared<Checks>()),
      done_(std::move(done)),
      again_(loop) {
  checks_->left = std::move(checks);
}

void Readiness::Start() { Ask(); }

void Readiness::Ask() {
  std::weak_ptr<absl::Status> weak = last_;
  callbacks_->Run([this, weak, checks = checks_, post = loop_->poster()] {
    absl::Status status;
    while (!checks->left.empty() && status.ok()) {
      Check& check = checks->left.front();
      status = Annotate(check.run(), absl::StrCat("readiness check \"", check.name, "\""));
      if (status.ok()) checks->left.erase(checks->left.begin());
    }
    post([this, weak, status] {
      if (!weak.expired()) OnAnswer(status);
    });
  });
}

void Readiness::OnAnswer(absl::Status status) {
  *last_ = status;
  if (absl::IsUnavailable(status)) return again_.Start(kAskAgain, [this] { Ask(); });
  done_(std::move(status));
}

}  // namespace zdd
