#include "tests/load/load_client.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/load/fake_server.h"
#include "tests/util/fd_audit.h"

namespace zdd {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using Fault = FakeServer::Fault;

constexpr absl::Duration kPatience = absl::Seconds(20);

std::unique_ptr<LoadClient> StartClient(LoadOptions options) {
  absl::StatusOr<std::unique_ptr<LoadClient>> client = LoadClient::Start(std::move(options));
  EXPECT_TRUE(client.ok()) << client.status();
  return client.ok() ? *std::move(client) : nullptr;
}

// Until `done(report)`.
template <typename Done>
void Await(const LoadClient& client, Done done) {
  const Instant deadline = MonotonicNow() + kPatience;
  while (!done(client.Peek())) {
    ASSERT_LT(MonotonicNow(), deadline) << client.Peek().ToTable();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// What one group sees of a server with this fault, until `count` requests of it have ended.
LoadReport See(Fault fault, LoadGroup group, int count = 5) {
  FakeServer server(fault);
  auto client = StartClient({.address = server.address(),
                             .groups = {std::move(group)},
                             .timeout = absl::Milliseconds(500)});
  Await(*client, [&](const LoadReport& report) { return report.Sum().ended() >= count; });
  return client->Stop();
}

LoadGroup Slow() { return {.kind = LoadKind::kSlow, .length = absl::Milliseconds(20)}; }
LoadGroup Upload() { return {.kind = LoadKind::kUpload, .length = absl::Milliseconds(100)}; }
LoadGroup Stream() { return {.kind = LoadKind::kStream, .length = absl::Milliseconds(100)}; }
LoadGroup Tunnel() { return {.kind = LoadKind::kTunnel, .length = absl::Milliseconds(100)}; }
LoadGroup Pipelined() { return {.kind = LoadKind::kPipelined, .length = absl::Milliseconds(30)}; }
LoadGroup SlowReader() {
  return {.kind = LoadKind::kSlowReader, .length = absl::Milliseconds(100)};
}
LoadGroup Late() { return {.kind = LoadKind::kLate, .delay = absl::Milliseconds(30)}; }

// Each request that ended has ended so, and none is missing.
void ExpectOnly(const LoadReport& report, LoadOutcome outcome) {
  const LoadGroupReport sum = report.Sum();
  EXPECT_GT(sum.started, 0);
  EXPECT_EQ(sum.count(outcome), sum.started) << report.ToTable();
}

class LoadClientTest : public ::testing::Test {
  FdAudit audit_;
};

TEST_F(LoadClientTest, FindsNothingWrongWithAServerThatIsRight) {
  FakeServer server;
  auto client =
      StartClient({.address = server.address(),
                   .groups = {{.kind = LoadKind::kNew, .rate = 200},
                              {.kind = LoadKind::kNew},
                              {.kind = LoadKind::kKeepAlive, .connections = 4, .rate = 400},
                              {.kind = LoadKind::kKeepAlive},
                              {.kind = LoadKind::kKeepAlive, .think = absl::Milliseconds(3)},
                              {.kind = LoadKind::kIdle, .connections = 3},
                              Slow(),
                              Upload(),
                              Stream(),
                              Tunnel(),
                              Pipelined(),
                              SlowReader(),
                              Late()},
                   .threads = 2});
  EXPECT_TRUE(client->AwaitAllGroups(kPatience));
  const LoadReport report = client->Stop();
  ExpectOnly(report, LoadOutcome::kOk);
  for (const LoadGroupReport& group : report.groups) EXPECT_GT(group.started, 0) << group.name;
  EXPECT_EQ(report.reconnects(), 0);
}

TEST_F(LoadClientTest, AsksAgainWhateverEndedTheAnswer) {
  for (const LoadGroup& group : {Stream(), Upload(), Tunnel(), Pipelined(), SlowReader()}) {
    const LoadReport report = See(Fault::kNone, group, 5);
    EXPECT_LT(report.groups[0].steady.max(), absl::Milliseconds(400)) << report.ToTable();
  }
}

TEST_F(LoadClientTest, CountsARefusal) {
  std::string address;
  {
    FakeServer gone;
    address = gone.address();
  }
  auto client = StartClient({.address = address, .groups = {{.kind = LoadKind::kNew}}});
  Await(*client, [](const LoadReport& report) { return report.Sum().ended() >= 3; });
  ExpectOnly(client->Stop(), LoadOutcome::kRefused);
}

TEST_F(LoadClientTest, CountsAResetOfANewConnection) {
  ExpectOnly(See(Fault::kResetOnAccept, {.kind = LoadKind::kNew}), LoadOutcome::kReset);
  ExpectOnly(See(Fault::kResetOnAccept, Late()), LoadOutcome::kReset);
}

TEST_F(LoadClientTest, CountsAConnectionThatIsClosedInsteadOfAnsweredAsCut) {
  const LoadGroupReport seen = See(Fault::kCloseOnAccept, {.kind = LoadKind::kNew}).Sum();
  // If the request crosses the close, it is answered by a reset.
  EXPECT_EQ(seen.count(LoadOutcome::kCut) + seen.count(LoadOutcome::kReset), seen.started);
  ExpectOnly(See(Fault::kCloseOnAccept, Late()), LoadOutcome::kCut);
}

TEST_F(LoadClientTest, CountsAnAnswerThatEndsTooSoonAsCutOrReset) {
  ExpectOnly(See(Fault::kCutInHead, {.kind = LoadKind::kKeepAlive}), LoadOutcome::kCut);
  ExpectOnly(See(Fault::kCutInBody, {.kind = LoadKind::kKeepAlive}), LoadOutcome::kCut);
  ExpectOnly(See(Fault::kResetInBody, {.kind = LoadKind::kKeepAlive}), LoadOutcome::kReset);
}

TEST_F(LoadClientTest, CountsAnAnswerThatDoesNotComeAsTimedOut) {
  ExpectOnly(See(Fault::kStall, {.kind = LoadKind::kKeepAlive}, 1), LoadOutcome::kTimedOut);
}

TEST_F(LoadClientTest, CountsAnswersThatAreNotRight) {
  ExpectOnly(See(Fault::kGarbage, {.kind = LoadKind::kNew}), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kStatus503, {.kind = LoadKind::kKeepAlive}), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kStatus503, Tunnel()), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kWrongHash, Upload(), 1), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kAnswerEarly, Upload(), 1), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kSkipLine, Stream(), 1), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kEndStreamEarly, Stream(), 1), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kWrongEcho, Tunnel(), 1), LoadOutcome::kWrong);
  ExpectOnly(See(Fault::kSkipLine, SlowReader(), 1), LoadOutcome::kWrong);
  EXPECT_GT(See(Fault::kSkipLine, Pipelined()).Sum().count(LoadOutcome::kWrong), 0);
}

TEST_F(LoadClientTest, CountsATextThatIsNotAlwaysTheSameAsWrong) {
  const LoadGroupReport seen = See(Fault::kWrongText, {.kind = LoadKind::kKeepAlive}).Sum();
  EXPECT_EQ(seen.count(LoadOutcome::kOk), 1) << "the first one sets the norm";
  EXPECT_EQ(seen.count(LoadOutcome::kWrong), seen.started - 1);
}

TEST_F(LoadClientTest, CountsBytesAfterTheAnswerAsAWrongRequestOfItsOwn) {
  const LoadGroupReport seen = See(Fault::kStrayBytes, {.kind = LoadKind::kIdle}, 2).Sum();
  EXPECT_EQ(seen.started, 2);
  EXPECT_EQ(seen.count(LoadOutcome::kOk), 1);
  EXPECT_EQ(seen.count(LoadOutcome::kWrong), 1);
}

TEST_F(LoadClientTest, CountsStreamsAndTunnelsThatAreCut) {
  ExpectOnly(See(Fault::kCutStream, Stream(), 1), LoadOutcome::kCut);
  ExpectOnly(See(Fault::kCutStream, SlowReader(), 1), LoadOutcome::kCut);
  ExpectOnly(See(Fault::kCutEcho, Tunnel(), 1), LoadOutcome::kCut);
}

TEST_F(LoadClientTest, CountsACloseUnderARequestAsRacedWhenTheConnectionWasUsedBefore) {
  for (Fault fault : {Fault::kCloseUnderRequest, Fault::kResetUnderRequest}) {
    const LoadGroupReport seen = See(fault, {.kind = LoadKind::kKeepAlive}).Sum();
    EXPECT_GT(seen.count(LoadOutcome::kRaced), 0);
    EXPECT_EQ(seen.count(LoadOutcome::kRaced), seen.lost());
    EXPECT_NEAR(static_cast<double>(seen.lost()), static_cast<double>(seen.count(LoadOutcome::kOk)),
                1);
  }
}

TEST_F(LoadClientTest, DoesNotCountAnAnnouncedCloseAsALoss) {
  const LoadReport report = See(Fault::kSayClose, {.kind = LoadKind::kKeepAlive});
  ExpectOnly(report, LoadOutcome::kOk);
  EXPECT_EQ(report.groups[0].told_to_reconnect, report.groups[0].started);
  EXPECT_EQ(report.groups[0].closed_idle, 0);
}

TEST_F(LoadClientTest, DoesNotCountACloseBetweenRequestsAsALossNorWritesOnSuchAConnection) {
  // The user thinks far longer than the server takes to close.
  const LoadReport report = See(Fault::kCloseIdle, {.kind = LoadKind::kKeepAlive, .rate = 20}, 10);
  ExpectOnly(report, LoadOutcome::kOk);
  EXPECT_GE(report.groups[0].closed_idle, 9);
  EXPECT_EQ(report.groups[0].told_to_reconnect, 0);
}

TEST_F(LoadClientTest, CountsAResetWhileNothingWasAskedAsALoss) {
  const LoadReport report = See(Fault::kResetIdle, {.kind = LoadKind::kIdle}, 2);
  EXPECT_EQ(report.groups[0].count(LoadOutcome::kOk), 1);
  EXPECT_EQ(report.groups[0].count(LoadOutcome::kReset), 1);
  EXPECT_THAT(report.losses, Contains(HasSubstr("while nothing was asked")));
}

TEST_F(LoadClientTest, EndsEveryRequestThatItBegan) {
  FakeServer server;
  for (int round = 0; round < 5; ++round) {
    auto client = StartClient(
        {.address = server.address(),
         .groups = {{.kind = LoadKind::kKeepAlive, .connections = 8}, Stream(), Late()}});
    EXPECT_TRUE(client->AwaitAllGroups(kPatience));
    const LoadReport report = client->Stop();
    for (const LoadGroupReport& group : report.groups) EXPECT_EQ(group.started, group.ended());
    EXPECT_EQ(client->Stop().requests(), report.requests()) << "a second Stop tells the same";
  }
}

TEST_F(LoadClientTest, UsesIdleConnectionsWhenTheRestartIsOverAndOnceMoreAtTheEnd) {
  FakeServer server;
  auto client = StartClient(
      {.address = server.address(), .groups = {{.kind = LoadKind::kIdle, .connections = 10}}});
  Await(*client, [](const LoadReport& report) { return report.Sum().ended() == 10; });
  client->Mark("restart");
  client->MarkEnd();
  Await(*client, [](const LoadReport& report) { return report.Sum().ended() == 20; });
  const LoadReport report = client->Stop();
  EXPECT_EQ(report.requests(), 30);
  ExpectOnly(report, LoadOutcome::kOk);
}

TEST_F(LoadClientTest, TellsHowLongAfterAMarkANewVersionAnswered) {
  FakeServer server;
  auto client =
      StartClient({.address = server.address(), .groups = {{.kind = LoadKind::kKeepAlive}}});
  EXPECT_TRUE(client->AwaitAllGroups(kPatience));
  EXPECT_FALSE(client->AwaitVersion("v2", absl::Milliseconds(1)));
  client->Mark("to v2");
  server.SetVersion("v2");
  const absl::optional<absl::Duration> takeover = client->AwaitVersion("v2", kPatience);
  client->MarkEnd();
  const LoadReport report = client->Stop();
  ASSERT_EQ(report.marks.size(), 1u);
  ASSERT_TRUE(takeover && report.marks[0].takeover);
  EXPECT_EQ(*report.marks[0].takeover, *takeover);
  EXPECT_EQ(report.marks[0].version, "v2");
  ASSERT_EQ(report.versions.size(), 2u);
  EXPECT_EQ(report.versions[0].version, "v1");
  EXPECT_EQ(report.versions[0].answers + report.versions[1].answers, report.requests());
  EXPECT_EQ(report.moved(), 1);
}

TEST_F(LoadClientTest, SeparatesLatenciesAroundARestartFromTheOthers) {
  FakeServer server;
  auto client = StartClient({.address = server.address(),
                             .groups = {{.kind = LoadKind::kKeepAlive}},
                             .window = absl::Milliseconds(50)});
  EXPECT_TRUE(client->AwaitAllGroups(kPatience));
  EXPECT_EQ(client->Peek().groups[0].around.count(), 0u);
  client->Mark("restart");
  client->MarkEnd();
  Await(*client, [](const LoadReport& report) { return report.groups[0].around.count() > 0; });
  const uint64_t steady = client->Peek().groups[0].steady.count();
  Await(*client,
        [&](const LoadReport& report) { return report.groups[0].steady.count() > steady; });
  const LoadReport report = client->Stop();
  EXPECT_EQ(report.groups[0].steady.count() + report.groups[0].around.count(),
            static_cast<uint64_t>(report.requests()));
}

TEST_F(LoadClientTest, KeepsARate) {
  FakeServer server;
  auto client =
      StartClient({.address = server.address(),
                   .groups = {{.kind = LoadKind::kKeepAlive, .connections = 4, .rate = 1000}}});
  Await(*client, [](const LoadReport& report) { return report.requests() >= 500; });
  const LoadReport report = client->Stop();
  EXPECT_NEAR(static_cast<double>(report.requests()) / absl::ToDoubleSeconds(report.elapsed), 1000,
              50);
}

TEST_F(LoadClientTest, NamesTheOptionThatIsWrong) {
  const auto error = [](LoadOptions options) {
    return std::string(LoadClient::Start(std::move(options)).status().message());
  };
  const std::string address = "tcp://127.0.0.1:1";
  EXPECT_THAT(error({.address = "localhost:80", .groups = {{}}}), HasSubstr("localhost:80"));
  EXPECT_THAT(error({.address = address}), HasSubstr("groups: at least one"));
  EXPECT_THAT(error({.address = address, .groups = {{.connections = 0}}}),
              HasSubstr("connections 0"));
  EXPECT_THAT(error({.address = address, .groups = {{.rate = -1}}}), HasSubstr("rate -1"));
  EXPECT_THAT(error({.address = address, .groups = {{.rate = 1, .think = absl::Seconds(1)}}}),
              HasSubstr("rate and think"));
  EXPECT_THAT(error({.address = address, .groups = {{}}, .threads = 0}), HasSubstr("threads 0"));
  EXPECT_THAT(error({.address = address, .groups = {{.connections = 10'000'000}}}),
              HasSubstr("ulimit -n"));
}

TEST_F(LoadClientTest, TellsItsLossesInTableAndJson) {
  const LoadReport report = See(Fault::kStatus503, {.kind = LoadKind::kKeepAlive});
  EXPECT_THAT(report.ToTable(), AllOf(HasSubstr("keep-alive, saturated"), HasSubstr("status 503"),
                                      HasSubstr("last answered by v1")));
  EXPECT_THAT(report.ToJson(), AllOf(HasSubstr("\"wrong\": "), HasSubstr("\"latency_us\"")));
}

}  // namespace
}  // namespace zdd
