#include "tests/load/timeline.h"

#include <thread>

#include "gtest/gtest.h"

namespace zdd {
namespace {

constexpr Instant At(int ms) { return absl::Milliseconds(ms); }

TEST(TimelineTest, CountsWhatOverlapsAWindowAsAround) {
  Timeline timeline(At(250));
  EXPECT_FALSE(timeline.Around(0, At(1)));
  timeline.Mark("a", At(1000));
  EXPECT_TRUE(timeline.Around(0, At(1))) << "began long before, ended after the mark";
  EXPECT_TRUE(timeline.Around(1, At(9000))) << "not yet over";
  timeline.MarkEnd(At(1100));
  EXPECT_TRUE(timeline.Around(1, At(1250)));
  EXPECT_FALSE(timeline.Around(1, At(1251)));
}

TEST(TimelineTest, KeepsAWindowOpenUntilTheRestartIsOver) {
  Timeline timeline(At(250));
  timeline.Mark("a", At(1000));
  timeline.MarkEnd(At(3000));
  EXPECT_TRUE(timeline.Around(1, At(3000)));
  EXPECT_FALSE(timeline.Around(1, At(3001)));
  timeline.MarkEnd(At(9000));
  EXPECT_FALSE(timeline.Around(1, At(3001))) << "a second end changes nothing";
}

TEST(TimelineTest, GivesEachMarkTheVersionThatCameAfterIt) {
  Timeline timeline(At(250));
  timeline.Seen("v1", At(1));
  timeline.Mark("to v2", At(100));
  timeline.Seen("v2", At(130));
  timeline.Mark("to nothing", At(200));
  timeline.Mark("to v3", At(300));
  timeline.Seen("v3", At(350));
  timeline.Seen("v3", At(340));  // another thread saw it earlier, and says so later
  timeline.Seen("v1", At(400));  // an old one still answers
  const std::vector<LoadMark> marks = timeline.marks();
  ASSERT_EQ(marks.size(), 3u);
  EXPECT_EQ(marks[0].version, "v2");
  EXPECT_EQ(marks[0].takeover, At(30));
  EXPECT_FALSE(marks[1].version || marks[1].takeover);
  EXPECT_EQ(marks[2].version, "v3");
  EXPECT_EQ(marks[2].takeover, At(40));
}

TEST(TimelineTest, WakesWhoAwaitsAVersion) {
  Timeline timeline(At(250));
  timeline.Mark("to v2", At(100));
  std::thread thread([&] { timeline.Seen("v2", At(130)); });
  EXPECT_EQ(timeline.Await("v2", absl::Seconds(60)), At(30));
  thread.join();
  EXPECT_EQ(timeline.Await("v2", absl::ZeroDuration()), At(30)) << "it is known already";
  EXPECT_FALSE(timeline.Await("v3", At(1)));
}

}  // namespace
}  // namespace zdd
