// A process of another user cannot take the service over. Needs root, and more than one user: not
// the sandbox.
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "tests/process/lineage.h"

namespace zdd {
namespace {

TEST(UserTest, ASuccessorOfAnotherUserIsRefused) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  pid_t first = lineage.StartFirst({"version v1"});
  // So that nothing but the service itself refuses it.
  std::filesystem::permissions(lineage.dir().path(), std::filesystem::perms::all);
  lineage.Script({"version v2", "uid 65534"});
  pid_t second = lineage.Start();
  TestEvent failed = lineage.Await("test.failed", second);
  EXPECT_TRUE(absl::StrContains(failed.message, "PERMISSION_DENIED")) << failed.message;
  EXPECT_TRUE(lineage.Alive(first));
}

}  // namespace
}  // namespace zdd
