#include "zdd/handoff/queue_watch.h"

#include "gtest/gtest.h"

namespace zdd {
namespace {

class QueueWatchTest : public ::testing::Test {
 protected:
  bool LookAt(int milliseconds, int waiting, bool helping = false) {
    return watch_.Look({{"http", waiting}}, absl::Milliseconds(milliseconds), helping);
  }
  QueueWatch watch_;
};

TEST_F(QueueWatchTest, AQueueThatDoesNotShrinkForASecondIsStuck) {
  EXPECT_FALSE(LookAt(5000, 3));
  EXPECT_FALSE(LookAt(5999, 4));
  EXPECT_FALSE(watch_.stuck().has_value());
  EXPECT_TRUE(LookAt(6000, 5));
  ASSERT_TRUE(watch_.stuck().has_value());
  EXPECT_EQ(watch_.stuck()->listener, "http");
  EXPECT_EQ(watch_.stuck()->waiting, 5);
}

TEST_F(QueueWatchTest, OneThatShrinksOrIsEmptyIsNot) {
  EXPECT_FALSE(LookAt(0, 3));
  EXPECT_FALSE(LookAt(900, 2));
  EXPECT_FALSE(LookAt(1800, 2));
  EXPECT_FALSE(LookAt(1850, 0));
  EXPECT_FALSE(LookAt(5000, 0));
  EXPECT_FALSE(LookAt(5900, 1));
}

TEST_F(QueueWatchTest, WhatIsFoundIsToldOnceAndStays) {
  LookAt(0, 1);
  EXPECT_TRUE(LookAt(1000, 1));
  EXPECT_FALSE(LookAt(1100, 0, /*helping=*/true));
  EXPECT_FALSE(LookAt(3000, 1));
  EXPECT_TRUE(watch_.stuck().has_value());
}

TEST_F(QueueWatchTest, WhileWeHelpItTellsNothingAndAfterwardsItBeginsAnew) {
  EXPECT_FALSE(LookAt(0, 1));
  EXPECT_FALSE(LookAt(2000, 1, /*helping=*/true));
  EXPECT_FALSE(LookAt(2900, 1));
  EXPECT_TRUE(LookAt(3000, 1));
}

TEST_F(QueueWatchTest, EachListenerCountsByItself) {
  EXPECT_FALSE(watch_.Look({{"a", 1}, {"b", 1}}, absl::Milliseconds(0), false));
  EXPECT_TRUE(watch_.Look({{"a", 0}, {"b", 1}}, absl::Milliseconds(1000), false));
  EXPECT_EQ(watch_.stuck()->listener, "b");
}

}  // namespace
}  // namespace zdd
