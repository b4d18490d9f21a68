#include "zdd/service/readiness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReadinessTest : public ::testing::Test {
 protected:
  // Checks of these names, which answer as `answers_` says by then.
  void Begin(const std::vector<std::string>& names) {
    std::vector<Readiness::Check> checks;
    for (const std::string& name : names) {
      checks.push_back({name, [this, name] {
                          asked_.push_back(name);
                          return answers_[name];
                        }});
    }
    readiness_ = std::make_unique<Readiness>(
        loop_.get(), &callbacks_, std::move(checks),
        [this](absl::Status status) { told_.push_back(std::move(status)); });
    readiness_->Start();
  }
  void RunHanded() {
    for (Task& task : std::exchange(handed_, {})) task();
  }

  BorrowedLoop loop_;
  std::deque<Task> handed_;  // to the executor
  Callbacks callbacks_{loop_.get(), [this](Task task) { handed_.push_back(std::move(task)); }};
  std::map<std::string, absl::Status> answers_;
  std::vector<std::string> asked_;
  std::vector<absl::Status> told_;
  std::unique_ptr<Readiness> readiness_;
};

TEST_F(ReadinessTest, WithoutChecksItIsReady) {
  Begin({});
  RunHanded();
  loop_.Turn();
  EXPECT_THAT(told_, ElementsAre(absl::OkStatus()));
}

TEST_F(ReadinessTest, WhatIsUnavailableIsAskedAgainAndWhatHasPassedIsNot) {
  answers_["b"] = absl::UnavailableError("loading");
  Begin({"a", "b"});
  RunHanded();
  EXPECT_TRUE(loop_.TurnUntil([&] { return !handed_.empty(); }));
  EXPECT_THAT(told_, IsEmpty());
  answers_["b"] = absl::OkStatus();
  RunHanded();
  loop_.Turn();
  EXPECT_THAT(told_, ElementsAre(absl::OkStatus()));
  EXPECT_THAT(asked_, ElementsAre("a", "b", "b"));
}

TEST_F(ReadinessTest, TheFirstErrorEndsItAndIsNamed) {
  answers_["a"] = absl::InternalError("no route");
  Begin({"a", "b"});
  RunHanded();
  loop_.Turn();
  ASSERT_THAT(told_, SizeIs(1));
  EXPECT_STATUS(told_[0], kInternal, "readiness check \"a\": no route");
  EXPECT_THAT(asked_, ElementsAre("a"));
}

TEST_F(ReadinessTest, ChecksThatAnExecutorDropsHaveFailed) {
  Begin({"a"});
  handed_.clear();
  loop_.Turn();
  ASSERT_THAT(told_, SizeIs(1));
  EXPECT_STATUS(told_[0], kCancelled, "options.executor dropped them");
}

TEST_F(ReadinessTest, AfterItsEndNothingIsTold) {
  Begin({"a"});
  readiness_.reset();
  RunHanded();
  loop_.Turn();
  EXPECT_THAT(told_, IsEmpty());
}

}  // namespace
}  // namespace zdd
