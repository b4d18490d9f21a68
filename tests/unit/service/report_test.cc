#include "zdd/service/report.h"

#include "gtest/gtest.h"

namespace zdd {
namespace {

Report Promoted() {
  Report report;
  report.reason = "upgrade by signal 12 (SIGUSR2)";
  report.self = {1, 41, "1.0"};
  report.peer = {2, 42, "2.0"};
  report.phases = {{"spawning", absl::Microseconds(12345)}, {"standby", absl::Seconds(2)}};
  report.total = absl::Microseconds(2012345);
  report.listeners = {
      {"http", "tcp://0.0.0.0:80", ListenerReport::Fate::kKept, {}},
      {"admin", "tcp://127.0.0.1:81", ListenerReport::Fate::kRebound, {"now on tcp://[::1]:81"}},
      {"old", "unix:///run/x", ListenerReport::Fate::kDropped, {}}};
  report.still_draining = {{0, 40, ""}};
  report.helped = true;
  report.drain.reason = "commit";
  report.drain.drained = true;
  report.drain.duration = absl::Milliseconds(1500);
  report.drain.entered = 7;
  report.drain.finished = 3;
  report.drain.closed = 2;
  report.drain.cut = 1;
  report.drain.late = 1;
  report.drain.adjustments = {"grace 10s shortened to 5s"};
  report.drain.stragglers = {{"job", absl::Seconds(3), "tcp://192.0.2.7:4711", true}};
  return report;
}

// A machine reads this: what is here stays; more may be added.
constexpr char kPromotedJson[] = R"json({
  "outcome": "ok",
  "code": "OK",
  "error": "",
  "reason": "upgrade by signal 12 (SIGUSR2)",
  "self": {
    "generation": 1,
    "pid": 41,
    "version": "1.0"
  },
  "peer": {
    "generation": 2,
    "pid": 42,
    "version": "2.0"
  },
  "total_ms": 2012.345,
  "orphaned": false,
  "helped": true,
  "serving": false,
  "phases": [
    {
      "name": "spawning",
      "duration_ms": 12.345
    },
    {
      "name": "standby",
      "duration_ms": 2000.0
    }
  ],
  "listeners": [
    {
      "name": "http",
      "address": "tcp://0.0.0.0:80",
      "fate": "kept",
      "notes": []
    },
    {
      "name": "admin",
      "address": "tcp://127.0.0.1:81",
      "fate": "rebound",
      "notes": [
        "now on tcp://[::1]:81"
      ]
    },
    {
      "name": "old",
      "address": "unix:///run/x",
      "fate": "dropped",
      "notes": []
    }
  ],
  "still_draining": [
    {
      "generation": 0,
      "pid": 40,
      "version": ""
    }
  ],
  "drain": {
    "reason": "commit",
    "drained": true,
    "duration_ms": 1500.0,
    "entered": 7,
    "finished": 3,
    "moved": 0,
    "came_back": 0,
    "closed": 2,
    "cut": 1,
    "late": 1,
    "lost_race": 0,
    "outlived_fd": 0,
    "adjustments": [
      "grace 10s shortened to 5s"
    ],
    "stragglers": [
      {
        "kind": "job",
        "age_ms": 3000.0,
        "peer": "tcp://192.0.2.7:4711",
        "busy": true
      }
    ],
    "at_cut": []
  }
})json";

TEST(ReportTest, AsJson) { EXPECT_EQ(Promoted().ToJson(), kPromotedJson); }

TEST(ReportTest, BytesOfAPeerDoNotSpoilTheJson) {
  Report report;
  report.status = absl::InternalError("\xff\"\n");
  EXPECT_NE(report.ToJson().find("\"error\": \"\xEF\xBF\xBD\\\"\\n\""), std::string::npos);
}

TEST(ReportTest, AHandoverAsText) {
  EXPECT_EQ(Promoted().ToText(),
            "generation 1 (pid 41, 1.0) handed over to generation 2 (pid 42, 2.0) "
            "[spawning 12.3 ms, standby 2000.0 ms]; listener \"admin\" rebound: now on "
            "tcp://[::1]:81; listener \"old\" dropped");
}

TEST(ReportTest, WhoWasCutOrStayedIsNamedForTheLog) {
  DrainReport drain;
  drain.reason = "commit";
  drain.entered = 9;
  EXPECT_EQ(CutText(drain), "");
  const Straggler busy = {"http", absl::Seconds(32), "tcp://192.0.2.7:4711", true};
  drain.cut = 7;
  drain.at_cut.assign(9, busy);
  drain.late = 1;
  drain.stragglers = {{"job", absl::Microseconds(3400), "", false}};
  const std::string name = "http tcp://192.0.2.7:4711 (busy, 32s old)";
  EXPECT_EQ(CutText(drain),
            "the drain (commit) has ended: of 9 connections and jobs 7 were cut, 1 stayed; at the "
            "cut there were " +
                name + ", " + name + ", " + name + ", " + name + ", " + name +
                " and 2 more; stayed: job (idle, 3ms old)");
}

DrainProgress HalfWay() {
  DrainProgress progress;
  progress.state = "waiting";
  static_cast<KindCounts&>(progress.now) = {3, 2, 1};
  progress.now.by_kind = {{"http", {2, 1, 1}}, {"job", {1, 1, 0}}};
  progress.oldest = {{"http", absl::Seconds(32), "tcp://192.0.2.7:4711", true}};
  progress.ended_per_second = 2.54;
  progress.expected = absl::Milliseconds(1234);
  progress.at_most = absl::Seconds(9);
  progress.so_far.reason = "commit";
  progress.so_far.entered = 10;
  progress.so_far.finished = 1;
  progress.so_far.moved = 2;
  progress.so_far.closed = 4;
  return progress;
}

TEST(DrainProgressTest, IsOneLineForTheLog) {
  DrainProgress progress = HalfWay();
  EXPECT_EQ(ProgressText(progress),
            "drain (commit) waiting: 3 of 10 are left (2 busy, 1 idle; http 2; job 1); 1 finished, "
            "2 moved, 4 closed, 0 cut; 2.5 end per second; the last in about 1.2s, 9s at most; "
            "oldest: http tcp://192.0.2.7:4711 (busy, 32s old)");
  progress.so_far.came_back = 5;
  progress.so_far.lost_race = 6;
  EXPECT_NE(ProgressText(progress).find("0 cut, 5 came back, 6 lost a race;"), std::string::npos);
}

constexpr char kProgressJson[] = R"json({
  "state": "waiting",
  "now": {
    "total": 3,
    "busy": 2,
    "idle": 1,
    "by_kind": {
      "http": {
        "total": 2,
        "busy": 1,
        "idle": 1
      },
      "job": {
        "total": 1,
        "busy": 1,
        "idle": 0
      }
    }
  },
  "ended_per_second": 2.54,
  "expected_ms": 1234.0,
  "at_most_ms": 9000.0,
)json";

TEST(DrainProgressTest, AsJson) {
  const std::string json = ProgressJson(HalfWay());
  EXPECT_EQ(json.substr(0, sizeof(kProgressJson) - 1), kProgressJson);
  EXPECT_NE(json.find("\"oldest\": ["), std::string::npos);
  EXPECT_NE(json.find("\"so_far\": {"), std::string::npos);
}

TEST(ReportTest, ATakeoverAsText) {
  Report report;
  report.self = {2, 42, ""};
  report.peer = {1, 41, "1.0"};
  EXPECT_EQ(report.ToText(), "generation 2 (pid 42) took over from generation 1 (pid 41, 1.0)");
}

TEST(ReportTest, AFailedUpgradeSaysThatThisGenerationKeepsServing) {
  Report report;
  report.status = absl::NotFoundError("spawn /x: No such file or directory (ENOENT)");
  report.self = {1, 41, ""};
  report.serving = true;
  EXPECT_EQ(report.ToText(),
            "generation 1 (pid 41) keeps serving: spawn /x: No such file or directory (ENOENT)");
  report.peer = {2, 42, ""};
  EXPECT_EQ(report.ToText(),
            "generation 1 (pid 41) keeps serving; it tried generation 2 (pid 42): spawn /x: No "
            "such file or directory (ENOENT)");
}

TEST(ReportTest, WhoDoesNotServeOnDoesNotSaySo) {
  Report report;
  report.status = absl::CancelledError("stop by signal 15 (SIGTERM)");
  report.self = {1, 41, ""};
  EXPECT_EQ(report.ToText(), "generation 1 (pid 41) failed: stop by signal 15 (SIGTERM)");
  report.peer = {2, 42, ""};
  EXPECT_EQ(report.ToText(),
            "generation 1 (pid 41) gave up generation 2 (pid 42): stop by signal 15 (SIGTERM)");
}

TEST(ReportTest, AnOrderlyEndAsText) {
  Report report;
  EXPECT_EQ(report.ToText(), "the service has ended");
  report.self = {1, 41, ""};
  EXPECT_EQ(report.ToText(), "generation 1 (pid 41) has ended");
}

}  // namespace
}  // namespace zdd
