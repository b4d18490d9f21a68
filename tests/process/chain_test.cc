// One service whose generations are different programs: a connection that one of them has begun is
// finished by another, of another kind, and no client connects again. The arguments name the
// programs; the last one is of a version that does not know how to move connections.
#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/load/load_client.h"
#include "tests/process/embedded_server.h"
#include "tests/process/odd_clients.h"
#include "tests/util/free_address.h"

namespace zdd {
namespace {

std::vector<std::string>* programs;

const absl::Duration kLong = absl::Seconds(30);

// What a state may weigh is a mebibyte (zdd/migration); an answer of so much is never all sent.
constexpr int kMovable = 500'000;
constexpr int kTooBig = 3'000'000;

enum Program { kEpoll, kLibuv, kThreads, kUnmoving };

class ChainTest : public ::testing::Test {
 protected:
  void Install(Program program) { server_.Install((*programs)[program]); }

  void StartFirst(Program program) {
    Install(program);
    owner_ = server_.Start();
    server_.Await("generation 1 is serving");
    generation_ = 1;
  }

  // Returns when the process before has ended.
  void Replace(Program program) {
    Install(program);
    load_->Mark(absl::StrCat("generation ", ++generation_));
    server_.Signal(owner_, SIGUSR2);
    server_.Await(absl::StrCat("generation ", generation_, " is accepting"));
    const pid_t successor = server_.ChildOf(owner_);
    EXPECT_EQ(server_.AwaitExit(owner_), 0) << server_.log();
    EXPECT_TRUE(load_->AwaitVersion(absl::StrCat(generation_), kLong));
    owner_ = successor;
  }

  void BeginLoad(int slow_reader_bytes) {
    auto load = LoadClient::Start(
        {.address = address_,
         .groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 100},
                    {.kind = LoadKind::kKeepAlive, .connections = 8, .rate = 200},
                    {.kind = LoadKind::kKeepAlive,
                     .connections = 60,
                     .think = absl::Milliseconds(100)},
                    {.kind = LoadKind::kLate, .connections = 8, .delay = absl::Milliseconds(200)}},
         .timeout = kLong});
    ASSERT_TRUE(load.ok()) << load.status();
    load_ = *std::move(load);
    odd_ = std::make_unique<OddClients>(
        address_,
        std::vector<OddGroup>{
            {.kind = OddKind::kPipelined, .connections = 8},
            {.kind = OddKind::kHalfHead, .connections = 8},
            {.kind = OddKind::kSlowReader, .connections = 6, .bytes = slow_reader_bytes}});
    EXPECT_TRUE(load_->AwaitAllGroups(kLong));
  }

  // Nothing was lost; how often clients had to connect again, by the kinds of odd ones and last all
  // others.
  std::vector<int64_t> EndLoad() {
    std::vector<int64_t> reconnects;
    for (const OddReport& report : odd_->Stop()) {
      EXPECT_TRUE(report.losses.empty()) << absl::StrJoin(report.losses, "\n") << server_.log();
      EXPECT_GT(report.answers, 10);
      reconnects.push_back(report.reconnects);
    }
    const LoadReport report = load_->Stop();
    EXPECT_EQ(report.lost(), 0) << report.ToTable() << server_.log();
    reconnects.push_back(report.reconnects());
    return reconnects;
  }

  const std::string address_ = FreeAddress().value();
  EmbeddedServer server_{(*programs)[kEpoll], {address_, "2s"}};
  std::unique_ptr<LoadClient> load_;
  std::unique_ptr<OddClients> odd_;
  pid_t owner_ = 0;
  int generation_ = 0;
};

using Reconnects = std::vector<int64_t>;

class MovingChainTest : public ChainTest,
                        public ::testing::WithParamInterface<std::vector<Program>> {};

TEST_P(MovingChainTest, NobodyConnectsAgain) {
  StartFirst(GetParam()[0]);
  BeginLoad(kMovable);
  for (size_t i = 1; i < GetParam().size(); ++i) Replace(GetParam()[i]);
  EXPECT_EQ(EndLoad(), (Reconnects{0, 0, 0, 0})) << server_.log();
}

INSTANTIATE_TEST_SUITE_P(
    Programs, MovingChainTest,
    ::testing::Values(std::vector{kEpoll, kEpoll, kEpoll}, std::vector{kLibuv, kLibuv, kLibuv},
                      std::vector{kThreads, kThreads, kThreads},
                      std::vector{kEpoll, kLibuv, kThreads, kEpoll, kThreads, kLibuv, kEpoll}));

TEST_F(ChainTest, OnlyThoseThatCouldNotMoveConnectAgain) {
  StartFirst(kThreads);
  BeginLoad(kTooBig);
  for (Program program : {kEpoll, kLibuv, kThreads, kEpoll}) Replace(program);
  Reconnects reconnects = EndLoad();
  EXPECT_GT(reconnects[2], 0);  // the slow readers
  reconnects[2] = 0;
  EXPECT_EQ(reconnects, (Reconnects{0, 0, 0, 0})) << server_.log();
}

TEST_F(ChainTest, AVersionThatMovesNothingGetsNothingAndSaysGoodbye) {
  StartFirst(kLibuv);
  BeginLoad(kMovable);
  for (Program program : {kUnmoving, kEpoll, kUnmoving, kThreads, kLibuv}) Replace(program);
  const Reconnects reconnects = EndLoad();
  for (int64_t of_kind : reconnects) EXPECT_GT(of_kind, 0);
}

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  zdd::programs = new std::vector<std::string>(argv + 1, argv + argc);
  return RUN_ALL_TESTS();
}
