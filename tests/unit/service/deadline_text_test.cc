#include "zdd/service/deadline_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace zdd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const HandoffLimits kLimits;

TEST(DeadlineTextTest, SaysWhatDidNotHappenAndWhichOptionToRaise) {
  const absl::Duration lasted = absl::Milliseconds(5001);
  EXPECT_EQ(DeadlineText(Phase::kSpawning, lasted, kLimits, "pid 7"),
            "pid 7 did not come to Service::Create() within 5s (options.hello_timeout)");
  EXPECT_EQ(DeadlineText(Phase::kOffering, absl::Seconds(60), kLimits, "pid 7"),
            "pid 7 did not get ready: it called no Start(), or its readiness checks did not pass, "
            "within 1m (options.ready_timeout)");
  EXPECT_EQ(DeadlineText(Phase::kStarting, absl::Seconds(60), kLimits, "pid 0"),
            "the readiness checks of this generation did not pass within 1m "
            "(options.ready_timeout)");
  EXPECT_EQ(DeadlineText(Phase::kJoining, lasted, kLimits, "pid 7"),
            "predecessor pid 7 did not hand over its listeners within 5s (options.join_timeout)");
  EXPECT_EQ(DeadlineText(Phase::kSharing, lasted, kLimits, "pid 7"),
            "pid 7 did not accept on each of its listeners within 5s (a fixed limit)");
}

TEST(DeadlineTextTest, ASleepIsToldInWholeMilliseconds) {
  EXPECT_EQ(DeadlineText(Phase::kSpawning, absl::Nanoseconds(65000123456), kLimits, "pid 7"),
            "pid 7 did not come to Service::Create() within 5s (options.hello_timeout; it took "
            "1m5s)");
  EXPECT_THAT(DeadlineText(Phase::kReleasing, absl::Nanoseconds(5012345678), kLimits, "pid 7"),
              HasSubstr("within 5s (a fixed limit)"));
}

TEST(DeadlineTextTest, EachPhaseWithADeadlineHasItsWords) {
  for (int i = 0; i <= static_cast<int>(Phase::kFailed); ++i) {
    const Phase phase = static_cast<Phase>(i);
    if (LimitOf(phase) == Limit::kNever) continue;
    EXPECT_THAT(DeadlineText(phase, absl::Seconds(5), kLimits, "pid 7"),
                Not(HasSubstr("nothing ended")))
        << PhaseName(phase);
  }
}

}  // namespace
}  // namespace zdd
