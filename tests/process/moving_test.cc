// The oracle of live migration: clients in every phase that a connection can be in, over restart
// after restart of a real server. Every byte is compared; nothing may be lost, and nobody may have
// to connect again. Then the oracle itself: a server that forgets any part of what moves is found.
//
//   bazel test //tests/process:moving_test                                      10 restarts
//   bazel test --config=opt //tests/process:moving_test --test_filter='*OverMany*' \
//       --test_arg=--restarts=50 --test_arg=--scale=10                      1,860 connections
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/load/load_client.h"
#include "tests/process/embedded_server.h"
#include "tests/util/free_address.h"
#include "tests/util/temp_dir.h"

ABSL_FLAG(int, restarts, 10, "how often the server is replaced");
ABSL_FLAG(int, scale, 1, "so many times more connections, at the same rate of requests");

namespace zdd {
namespace {

constexpr char kServer[] = "examples/http_server/http_server";
constexpr char kForgetful[] = "tests/process/forgetful_server";
constexpr absl::Duration kLong = absl::Seconds(30);

constexpr int kIdle = 4;  // the number of the idle ones in:

std::vector<LoadGroup> EveryPhase() {
  const absl::Duration length = absl::Milliseconds(1500);
  std::vector<LoadGroup> groups = {
      {.kind = LoadKind::kNew, .connections = 4, .rate = 50},
      {.kind = LoadKind::kLate, .connections = 8},
      {.kind = LoadKind::kKeepAlive, .connections = 16, .rate = 400},
      {.kind = LoadKind::kKeepAlive, .connections = 50, .think = absl::Milliseconds(100)},
      {.kind = LoadKind::kIdle, .connections = 20},
      {.kind = LoadKind::kSlow, .connections = 16, .length = length},
      {.kind = LoadKind::kUpload, .connections = 16, .length = length},
      {.kind = LoadKind::kStream, .connections = 16, .length = length},
      {.kind = LoadKind::kTunnel, .connections = 16, .length = length},
      {.kind = LoadKind::kPipelined, .connections = 16, .length = absl::Milliseconds(300)},
      {.kind = LoadKind::kSlowReader, .connections = 8, .length = length}};
  const int scale = absl::GetFlag(FLAGS_scale);
  for (LoadGroup& group : groups) {
    group.connections *= scale;
    group.think *= scale;
  }
  return groups;
}

class MovingTest : public ::testing::Test {
 protected:
  void Start(const std::string& program, std::vector<std::string> flags) {
    SetVersion(1);
    server_ = std::make_unique<EmbeddedServer>(program, std::move(flags));
    owner_ = server_->Start();
    server_->Await("generation 1 is serving", kLong);
    auto load =
        LoadClient::Start({.address = address_, .groups = EveryPhase(), .timeout = kTimeout});
    ASSERT_TRUE(load.ok()) << load.status();
    load_ = *std::move(load);
    ASSERT_TRUE(load_->AwaitAllGroups(kLong)) << load_->Peek().ToTable();
  }

  // Returns when the predecessor is gone: then all that it served has moved.
  void Restart() {
    SetVersion(++generation_);
    load_->Mark(absl::StrCat("v", generation_));
    server_->Signal(owner_, SIGUSR2);
    server_->Await(absl::StrCat("generation ", generation_, " is accepting"), kLong);
    const pid_t successor = server_->ChildOf(owner_);
    server_->Await(absl::StrCat("generation ", generation_, " is serving"), kLong);
    EXPECT_EQ(server_->AwaitExit(owner_, kLong), 0) << server_->log();
    owner_ = successor;
    load_->MarkEnd();
  }

  // Returns when the predecessor serves again, and the successor is gone.
  void TryAndTakeBack() {
    SetVersion(++generation_);
    load_->Mark(absl::StrCat("v", generation_));
    server_->Signal(owner_, SIGUSR2);
    server_->Await(absl::StrCat("generation ", generation_, " is accepting"), kLong);
    const pid_t successor = server_->ChildOf(owner_);
    EXPECT_TRUE(load_->AwaitVersion(absl::StrCat("v", generation_), kLong)) << log();
    load_->MarkEnd();
    server_->Signal(successor, SIGTERM);
    server_->Await(absl::StrCat("connections of generation ", generation_, " moved here"), kLong);
    server_->Await("generation 1 is serving", kLong);
  }

  void SetVersion(int version) {
    std::ofstream file(version_file());
    file << "v" << version;
  }
  std::string version_file() const { return dir_.File("version"); }
  std::string log() const { return server_->log(); }

  static constexpr absl::Duration kTimeout = absl::Seconds(10);
  const std::string address_ = FreeAddress().value();
  TempDir dir_;
  std::unique_ptr<EmbeddedServer> server_;
  std::unique_ptr<LoadClient> load_;
  pid_t owner_ = 0;
  int generation_ = 1;
};

TEST_F(MovingTest, NothingIsLostAndNobodyReconnectsOverManyRestarts) {
  Start(kServer, {"--listen=" + address_, "--version_file=" + version_file(), "--threads=2",
                  "--standby=50ms", "--send_buffer=16384"});
  const int restarts = absl::GetFlag(FLAGS_restarts);
  for (int i = 0; i < restarts && !HasFailure(); ++i) Restart();
  const LoadReport report = load_->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << log();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << log();
  // The idle ones wait for each restart. Of the others a client counts a move when it sees an
  // answer of the new version: many a restart is over before.
  const int idle = 20 * absl::GetFlag(FLAGS_scale);
  EXPECT_EQ(report.groups[kIdle].moved, restarts * idle) << report.ToTable();
  EXPECT_GT(report.moved(), restarts * 50) << report.ToTable();
  std::cout << report.ToTable();
}

TEST_F(MovingTest, NothingIsLostAndNobodyReconnectsWhenEachStandbyIsTakenBack) {
  Start(kServer, {"--listen=" + address_, "--version_file=" + version_file(), "--threads=2",
                  "--standby=5m", "--move_in_standby=true", "--send_buffer=16384"});
  const int restarts = absl::GetFlag(FLAGS_restarts);
  for (int i = 0; i < restarts && !HasFailure(); ++i) TryAndTakeBack();
  const LoadReport report = load_->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << log();
  EXPECT_EQ(report.reconnects(), 0) << report.ToTable() << log();
  EXPECT_GT(report.moved(), restarts * 20) << report.ToTable();
  std::cout << report.ToTable();
}

class ForgetfulTest : public MovingTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(ForgetfulTest, IsFoundByItsClients) {
  Start(kForgetful, {address_, version_file(), GetParam()});
  for (int i = 0; i < 6 && load_->Peek().lost() == 0; ++i) Restart();
  // Some wait for what never comes.
  const LoadReport report = load_->Stop();
  EXPECT_GT(report.lost(), 0) << report.ToTable() << log();
}

INSTANTIATE_TEST_SUITE_P(Of, ForgetfulTest,
                         ::testing::Values("input", "output", "phase", "request", "framing",
                                           "digest", "line"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return RUN_ALL_TESTS();
}
