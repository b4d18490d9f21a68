#include "benchmarks/peers/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nlohmann/json.hpp"

namespace zdd {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

LoadGroupReport Group(int64_t ok, int64_t raced, int64_t reconnects) {
  LoadGroupReport group;
  group.name = "keep-alive";
  group.started = ok + raced;
  group.outcomes[static_cast<size_t>(LoadOutcome::kOk)] = ok;
  group.outcomes[static_cast<size_t>(LoadOutcome::kRaced)] = raced;
  group.closed_idle = reconnects;
  return group;
}

PeerFindings Peer(const std::string& name, const LoadGroupReport& group) {
  PeerFindings peer = {name};
  peer.sessions[0].groups = {group};
  peer.sessions[0].ends = {absl::Milliseconds(10), absl::Milliseconds(30), absl::Milliseconds(20)};
  return peer;
}

Findings Two() {
  return {
      "today, 2 cores", 4, {Peer("nginx", Group(99'000, 1'000, 256)), Peer("zdd", Group(5, 0, 0))}};
}

TEST(FindingsTest, TheTableTellsFailuresAndReconnectsOfARestart) {
  const std::string table = ToTable(Two());
  EXPECT_THAT(table, HasSubstr("1,000 of 100k (64)"));
  EXPECT_THAT(table, HasSubstr("0 of 5 (0)"));
  EXPECT_THAT(table, HasSubstr("20 (30)"));
}

TEST(FindingsTest, FailuresAreToldByKind) {
  const std::string table = ToTable(Two());
  EXPECT_THAT(table, HasSubstr("- nginx, keep-alive: 1,000 raced\n"));
  EXPECT_THAT(table, Not(HasSubstr("- zdd")));
}

TEST(FindingsTest, TheSummaryHasALineForEachPeer) {
  Findings findings = Two();
  findings.peers[1].sessions[static_cast<size_t>(Session::kNew)].switches = {absl::Milliseconds(7)};
  const std::string summary = ToSummary(findings);
  EXPECT_THAT(summary, HasSubstr("requests failed in 24 restarts |"));
  EXPECT_THAT(summary, ContainsRegex("\n\\| nginx +\\| +1000 \\|"));
  EXPECT_THAT(summary, ContainsRegex("\n\\| zdd +\\| +0 \\| +0 \\| +7 \\| +0.0 \\|"));
}

TEST(FindingsTest, WhoIsLeftOutIsToldWithTheReason) {
  Findings findings = Two();
  findings.peers.push_back({"tableflip", "go is not installed"});
  EXPECT_THAT(ToTable(findings), HasSubstr("LEFT OUT: tableflip: go is not installed\n"));
  EXPECT_THAT(ToSvg(findings), Not(HasSubstr("tableflip")));
  findings.peers = {findings.peers.back()};
  EXPECT_THAT(ToTable(findings), HasSubstr("LEFT OUT"));
}

TEST(FindingsTest, JsonHasEachKindOfFailure) {
  const auto json = nlohmann::json::parse(ToJson(Two()));
  const auto& group = json["peers"][0]["sessions"][0]["groups"][0];
  EXPECT_EQ(group["failed"], 1000);
  EXPECT_EQ(group["failed_by_kind"]["raced"], 1000);
  EXPECT_EQ(group["failed_by_kind"]["reset"], 0);
  EXPECT_EQ(json["peers"][0]["sessions"][0]["old_gone_ms"], 20);
}

TEST(FindingsTest, TheMiddleOfNothingIsZero) {
  EXPECT_EQ(Middle({}), absl::ZeroDuration());
  EXPECT_EQ(Middle({absl::Seconds(3), absl::Seconds(1), absl::Seconds(2)}), absl::Seconds(2));
}

}  // namespace
}  // namespace zdd
