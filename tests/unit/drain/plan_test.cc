#include "zdd/drain/plan.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(PlanTest, TheDefaultIsValidAndFits) {
  EXPECT_TRUE(Validate(DrainPlan()).ok());
  EXPECT_THAT(Fitted(DrainPlan()).adjustments, IsEmpty());
}

TEST(PlanTest, ANegativeTimeIsRefusedByName) {
  DrainPlan plan;
  plan.grace = -absl::Seconds(3);
  const absl::Status status = Validate(plan);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "drain plan: grace is negative (-3s), give a length of time from 0 on");
}

TEST(PlanTest, AnInfiniteTimeIsRefusedByName) {
  DrainPlan plan;
  plan.deadline = absl::InfiniteDuration();
  EXPECT_THAT(Validate(plan).message(), HasSubstr("deadline is infinite"));
  plan.deadline = -absl::InfiniteDuration();
  EXPECT_EQ(Validate(plan).code(), absl::StatusCode::kInvalidArgument);
}

TEST(PlanTest, EveryFieldIsChecked) {
  absl::Duration DrainPlan::*const fields[] = {&DrainPlan::delay,      &DrainPlan::spread,
                                               &DrainPlan::grace,      &DrainPlan::deadline,
                                               &DrainPlan::cut_spread, &DrainPlan::linger};
  for (auto field : fields) {
    DrainPlan plan;
    plan.*field = -absl::Nanoseconds(1);
    EXPECT_FALSE(Validate(plan).ok());
    plan.*field = absl::ZeroDuration();
    EXPECT_TRUE(Validate(plan).ok());
  }
}

TEST(PlanTest, SpreadAndGraceShrinkByTheSameFactor) {
  DrainPlan plan;
  plan.delay = absl::Seconds(5);
  plan.deadline = absl::Seconds(16);
  const FittedPlan fitted = Fitted(plan);
  EXPECT_EQ(fitted.plan.delay, absl::Seconds(5));
  EXPECT_EQ(fitted.plan.spread, absl::Seconds(5));
  EXPECT_EQ(fitted.plan.grace, absl::Seconds(5));
  EXPECT_EQ(fitted.plan.deadline, absl::Seconds(16));
  EXPECT_THAT(fitted.adjustments,
              ElementsAre("spread shortened from 10s to 5s to fit the deadline of 16s",
                          "grace shortened from 10s to 5s to fit the deadline of 16s"));
}

TEST(PlanTest, WhereDelayAndCutAloneAreTooLongNothingElseIsLeft) {
  DrainPlan plan;
  plan.delay = absl::Seconds(30);
  plan.cut_spread = absl::Seconds(10);
  plan.deadline = absl::Seconds(20);
  const FittedPlan fitted = Fitted(plan);
  EXPECT_EQ(fitted.plan.delay, absl::Seconds(15));
  EXPECT_EQ(fitted.plan.cut_spread, absl::Seconds(5));
  EXPECT_EQ(fitted.plan.spread, absl::ZeroDuration());
  EXPECT_EQ(fitted.plan.grace, absl::ZeroDuration());
  EXPECT_THAT(fitted.adjustments, ElementsAre(StartsWith("delay"), StartsWith("cut_spread"),
                                              StartsWith("spread"), StartsWith("grace")));
}

TEST(PlanTest, NoDeadlineAtAllMeansNoTimeForAnything) {
  DrainPlan plan;
  plan.deadline = absl::ZeroDuration();
  const DrainPlan fitted = Fitted(plan).plan;
  EXPECT_EQ(fitted.spread + fitted.grace + fitted.cut_spread + fitted.delay, absl::ZeroDuration());
}

TEST(PlanTest, WhatWasFittedFits) {
  DrainPlan plan;
  plan.deadline = absl::Milliseconds(7777);
  EXPECT_THAT(Fitted(Fitted(plan).plan).adjustments, IsEmpty());
}

TEST(PlanTest, AClassHasANameAndTimesFromZeroOn) {
  DrainPlan plan;
  plan.classes[""].deadline = absl::Seconds(1);
  EXPECT_FALSE(Validate(plan).ok());
  plan.classes.clear();
  plan.classes["stream"].grace = -absl::Seconds(1);
  const absl::Status status = Validate(plan);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().find("drain plan: classes[\"stream\"].grace is negative"), 0u)
      << status;
}

// Who aborts a successor waits so long for what that has in hand.
TEST(PlanTest, TheLongestClassDecidesWhenAllHasEnded) {
  DrainPlan plan;
  plan.deadline = absl::Seconds(30);
  plan.linger = absl::Seconds(2);
  EXPECT_EQ(LongestOf(plan), absl::Seconds(32));
  plan.classes["job"].deadline = absl::Seconds(5);
  EXPECT_EQ(LongestOf(plan), absl::Seconds(32));
  plan.classes["stream"].deadline = absl::Minutes(10);
  EXPECT_EQ(LongestOf(plan), absl::Seconds(602));
}

}  // namespace
}  // namespace zdd
