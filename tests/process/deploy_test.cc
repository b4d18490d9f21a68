// Deploys into releases/1, releases/2 and a link `current`, where old releases are removed.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/process/lineage.h"

namespace zdd {
namespace {

namespace fs = std::filesystem;

class DeployTest : public ::testing::Test {
 protected:
  DeployTest() : lineage_({"listen http tcp://127.0.0.1:0", "standby_ms 0"}) {
    for (const char* release : {"releases/1", "releases/2"}) fs::create_directories(File(release));
    fs::create_directory_symlink("releases/1", File("current"));
  }

  std::string File(const std::string& name) { return lineage_.dir().File(name); }

  // In releases/1, which is removed then.
  pid_t StartAndRemove(const std::vector<std::string>& lines) {
    std::vector<std::string> script = {
        "version v1", "chdir " + File("releases/1"),
        absl::StrCat("command ", fs::absolute("tests/process/test_server").string(), " ",
                     File("script"))};
    script.insert(script.end(), lines.begin(), lines.end());
    const pid_t first = lineage_.StartFirst(script);
    fs::remove(File("current"));
    fs::create_directory_symlink("releases/2", File("current"));
    fs::remove_all(File("releases/1"));
    lineage_.Script({"version v2"});
    lineage_.Signal(first, SIGUSR2);
    return first;
  }

  Lineage lineage_;
};

TEST_F(DeployTest, ARemovedWorkingDirectoryIsNamedAndTheCureToo) {
  const pid_t first = StartAndRemove({});
  TestEvent failed = lineage_.Await("upgrade.rolled_back", first);
  EXPECT_TRUE(absl::StrContains(failed.message,
                                absl::StrCat("enter working directory ", File("releases/1"),
                                             " (make it again, or set Options::working_directory")))
      << failed.message;
  EXPECT_TRUE(lineage_.Alive(first));
  // The first cure.
  fs::create_directory(File("releases/1"));
  lineage_.Signal(first, SIGUSR2);
  lineage_.Await("upgrade.promoted", first);
}

TEST_F(DeployTest, AWorkingDirectoryThatIsALinkIsFollowedAnew) {
  const pid_t first = StartAndRemove({"working_directory " + File("current")});
  lineage_.Await("upgrade.promoted", first);
  lineage_.Await("owner", first);
  const pid_t second = lineage_.Await("owner").pid;
  EXPECT_EQ(fs::read_symlink(absl::StrCat("/proc/", second, "/cwd")),
            fs::canonical(File("releases/2")));
}

}  // namespace
}  // namespace zdd
