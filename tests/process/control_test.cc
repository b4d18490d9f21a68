// The control socket is removed, by a cleaner of /tmp or by hand: the owner makes it again, and the
// next version finds it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"

namespace zdd {
namespace {

class ControlTest : public ::testing::Test {
 protected:
  ControlTest() : lineage_({"listen http tcp://127.0.0.1:0", "standby_ms 300"}) {
    owner_ = lineage_.StartFirst({"version v1"});
    LoadOptions options;
    options.address = lineage_.Address();
    options.groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 200},
                      {.kind = LoadKind::kKeepAlive, .connections = 4, .rate = 200}};
    options.timeout = absl::Seconds(15);
    load_ = LoadClient::Start(options).value();
    // Who is served finds an owner that has looked at its socket already.
    EXPECT_TRUE(load_->AwaitVersion("v1", Lineage::kLong));
  }

  // A copy that is started by hand, where the first one has a port of its own choice.
  void ExpectTakesOver(const std::string& version) {
    lineage_.Script({"version " + version});
    const pid_t copy = lineage_.Start();
    EXPECT_TRUE(lineage_.AwaitUnlessEnded("phase.serving", copy)) << lineage_.History();
    EXPECT_TRUE(load_->AwaitVersion(version, Lineage::kLong)) << lineage_.History();
  }

  void ExpectNothingLost() {
    LoadReport report = load_->Stop();
    EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage_.History();
  }

  std::string Socket() { return lineage_.dir().File("run/test.sock"); }

  Lineage lineage_;
  pid_t owner_ = 0;
  std::unique_ptr<LoadClient> load_;
};

TEST_F(ControlTest, ARemovedDirectoryIsMadeAgainInTime) {
  std::filesystem::remove_all(lineage_.dir().File("run"));
  const TestEvent event = lineage_.Await("control.remade", owner_);
  EXPECT_TRUE(absl::StrContains(event.message, "directory was removed")) << event.message;
  ExpectTakesOver("v2");
  ExpectNothingLost();
}

TEST_F(ControlTest, ARemovedSocketIsMadeAgainAfterAFailedUpgrade) {
  ASSERT_EQ(unlink(Socket().c_str()), 0);
  lineage_.Script({"version bad", "fail exit 3"});
  lineage_.Signal(owner_, SIGUSR2);
  lineage_.Await("upgrade.rolled_back", owner_);
  lineage_.Await("control.remade", owner_);
  ExpectTakesOver("v2");
  ExpectTakesOver("v3");
  ExpectNothingLost();
}

TEST_F(ControlTest, ARemovedSocketIsMadeAgainByTheNextGeneration) {
  lineage_.Script({"version v2"});
  lineage_.Signal(owner_, SIGUSR2);
  lineage_.Await("phase.standby", owner_);
  ASSERT_EQ(unlink(Socket().c_str()), 0);
  const pid_t second = lineage_.Await("control.remade").pid;
  EXPECT_NE(second, owner_);
  lineage_.Await("phase.serving", second);
  ExpectTakesOver("v3");
  lineage_.AwaitExit(owner_);
  EXPECT_TRUE(std::filesystem::exists(Socket()));
  ExpectNothingLost();
}

TEST_F(ControlTest, SoIsARemovedPidFile) {
  const std::string path = lineage_.dir().File("pid");
  ASSERT_EQ(unlink(path.c_str()), 0);
  lineage_.Await("pid_file.remade", owner_);
  std::ifstream file(path);
  pid_t pid = 0;
  file >> pid;
  EXPECT_EQ(pid, owner_);
}

TEST_F(ControlTest, WhoStopsRemovesTheOneThatItMade) {
  lineage_.Script({"version v2"});
  lineage_.Signal(owner_, SIGUSR2);
  lineage_.Await("phase.standby", owner_);
  ASSERT_EQ(unlink(Socket().c_str()), 0);
  const pid_t second = lineage_.Await("control.remade").pid;
  lineage_.AwaitExit(owner_);
  lineage_.Signal(second, SIGTERM);
  lineage_.Await("test.ended", second);
  EXPECT_FALSE(std::filesystem::exists(Socket()));
}

}  // namespace
}  // namespace zdd
