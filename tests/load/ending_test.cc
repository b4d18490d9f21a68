#include "tests/load/ending.h"

#include <errno.h>

#include "gtest/gtest.h"

namespace zdd {
namespace {

TEST(EndingTest, CallsItARaceOnlyOnAConnectionUsedBeforeAndBeforeTheFirstByte) {
  for (Ending ending : {Ending::kEof, Ending::kReset}) {
    const LoadOutcome plain = ending == Ending::kEof ? LoadOutcome::kCut : LoadOutcome::kReset;
    EXPECT_EQ(OutcomeOf(ending, /*reused=*/true, 0), LoadOutcome::kRaced);
    EXPECT_EQ(OutcomeOf(ending, /*reused=*/true, 1), plain);
    EXPECT_EQ(OutcomeOf(ending, /*reused=*/false, 0), plain);
    EXPECT_EQ(OutcomeOf(ending, /*reused=*/false, 1), plain);
  }
}

TEST(EndingTest, KeepsOtherEndingsWhatTheyAre) {
  for (bool reused : {false, true}) {
    EXPECT_EQ(OutcomeOf(Ending::kAnswered, reused, 9), LoadOutcome::kOk);
    EXPECT_EQ(OutcomeOf(Ending::kRefused, reused, 0), LoadOutcome::kRefused);
    EXPECT_EQ(OutcomeOf(Ending::kTimeout, reused, 0), LoadOutcome::kTimedOut);
    EXPECT_EQ(OutcomeOf(Ending::kWrong, reused, 0), LoadOutcome::kWrong);
    EXPECT_EQ(OutcomeOf(Ending::kUntried, reused, 0), LoadOutcome::kUntried);
  }
}

TEST(EndingTest, BlamesTheServerForItsErrorsAndNotForOurs) {
  EXPECT_EQ(EndingOfError(ECONNREFUSED), Ending::kRefused);
  EXPECT_EQ(EndingOfError(ENOENT), Ending::kRefused) << "a Unix socket that is gone";
  EXPECT_EQ(EndingOfError(ECONNRESET), Ending::kReset);
  EXPECT_EQ(EndingOfError(EPIPE), Ending::kReset);
  EXPECT_EQ(EndingOfError(ETIMEDOUT), Ending::kTimeout);
  EXPECT_EQ(EndingOfError(EMFILE), Ending::kUntried);
  EXPECT_EQ(EndingOfError(EADDRNOTAVAIL), Ending::kUntried);
}

}  // namespace
}  // namespace zdd
