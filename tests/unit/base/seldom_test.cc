#include "zdd/base/seldom.h"

#include <gtest/gtest.h>

namespace zdd {
namespace {

TEST(SeldomTest, TheFirstIsToldAtOnceAndTheOthersAreCounted) {
  Seldom seldom(absl::Minutes(1));
  const Instant start = MonotonicNow();
  EXPECT_EQ(seldom.Tell(start), 0);
  for (int i = 0; i < 59; ++i) EXPECT_EQ(seldom.Tell(start + absl::Seconds(i)), absl::nullopt);
  EXPECT_EQ(seldom.Tell(start + absl::Minutes(1)), 59);
  EXPECT_EQ(seldom.Tell(start + absl::Minutes(1)), absl::nullopt);
  EXPECT_EQ(seldom.Tell(start + absl::Hours(1)), 1);
}

}  // namespace
}  // namespace zdd
