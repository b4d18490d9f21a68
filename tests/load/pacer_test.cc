#include "tests/load/pacer.h"

#include "gtest/gtest.h"

namespace zdd {
namespace {

constexpr Instant At(int ms) { return absl::Milliseconds(ms); }

TEST(PacerTest, KeepsARateWhateverAnswersTake) {
  const LoadGroup group = {.kind = LoadKind::kKeepAlive, .connections = 4, .rate = 100};
  Pacer pacer(group, 0, 1);
  EXPECT_EQ(pacer.Next(At(1000), At(1001)), At(1040)) << "four users, each with a quarter of it";
  EXPECT_EQ(pacer.Next(At(1000), At(5000)), At(1040)) << "late, and not forgiven";
}

TEST(PacerTest, SpreadsTheUsersOfAGroupOverOneInterval) {
  const LoadGroup group = {.kind = LoadKind::kNew, .connections = 4, .rate = 100};
  for (int number = 0; number < 4; ++number) {
    EXPECT_EQ(Pacer(group, number, 1).First(At(0)), At(10 * number));
  }
  const LoadGroup streams = {.kind = LoadKind::kStream, .connections = 4, .length = At(400)};
  EXPECT_EQ(Pacer(streams, 3, 1).First(At(0)), At(300));
}

TEST(PacerTest, SaturatesWithoutAPause) {
  Pacer pacer({.kind = LoadKind::kKeepAlive}, 0, 1);
  EXPECT_EQ(pacer.First(At(5)), At(5));
  EXPECT_EQ(pacer.Next(At(5), At(9)), At(9));
}

TEST(PacerTest, ThinksForExponentialTimesAboutTheMean) {
  Pacer pacer({.kind = LoadKind::kKeepAlive, .think = At(100)}, 0, 1);
  constexpr int kCount = 20000;
  absl::Duration sum;
  int longer_than_mean = 0;
  for (int i = 0; i < kCount; ++i) {
    const absl::Duration thought = pacer.Next(At(0), At(1000)) - At(1000);
    EXPECT_GE(thought, absl::ZeroDuration());
    sum += thought;
    longer_than_mean += thought > At(100);
  }
  EXPECT_NEAR(absl::ToDoubleMilliseconds(sum / kCount), 100, 3);
  EXPECT_NEAR(longer_than_mean, kCount * 0.3679, kCount * 0.02);
}

TEST(PacerTest, LetsAnIdleUserWaitUntilItIsTold) {
  Pacer pacer({.kind = LoadKind::kIdle}, 0, 1);
  EXPECT_EQ(pacer.First(At(5)), At(5));
  EXPECT_EQ(pacer.Next(At(5), At(6)), absl::InfiniteDuration());
}

}  // namespace
}  // namespace zdd
