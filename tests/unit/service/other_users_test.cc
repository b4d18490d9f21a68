// What depends on there being other users. Needs root, and one that can become somebody else: not
// the lone root of a user namespace.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/service/control_socket.h"
#include "zdd/service/process_image.h"
#include "zdd/service/runtime_dir.h"
#include "zdd/service/spawn.h"

namespace zdd {
namespace {

constexpr uid_t kAlice = 4242, kMallory = 4243;

class OtherUsersTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir temp_;

  void SetUp() override {
    if (InFork([] { return setuid(kAlice) == 0 ? 0 : 1; }) != 0) GTEST_SKIP() << "cannot setuid()";
    ASSERT_EQ(chmod(temp_.path().c_str(), 01777), 0);  // like /tmp
  }
};

TEST_F(OtherUsersTest, ARuntimeDirOfSomebodyElseIsRefused) {
  ASSERT_EQ(mkdir(temp_.File("run").c_str(), 0700), 0);
  ASSERT_EQ(chown(temp_.File("run").c_str(), kMallory, kMallory), 0);
  EXPECT_STATUS(EnsureRuntimeDir(temp_.File("run")), kPermissionDenied,
                "belongs to uid 4243, not to us (uid 0)");
}

TEST_F(OtherUsersTest, WhoTakesAForeseeableNameFirstIsNotTrusted) {
  EXPECT_EQ(InFork([&] {
              if (setuid(kMallory) != 0) return 1;
              return EnsureRuntimeDir(temp_.File("zdd-4242")).ok() ? 0 : 2;
            }),
            0);
  EXPECT_EQ(InFork([&] {
              if (setuid(kAlice) != 0) return 1;
              absl::Status status = EnsureRuntimeDir(temp_.File("zdd-4242")).status();
              return absl::IsPermissionDenied(status) ? 0 : 2;
            }),
            0);
}

TEST_F(OtherUsersTest, APeerOfAnotherUserIsRefusedAndRootIsNot) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
  OwnedFd roots(fds[0]), others(fds[1]);  // a pair shows who made it
  EXPECT_OK(CheckPeer(roots.get()));
  EXPECT_EQ(InFork([&] { return setuid(kAlice) == 0 && CheckPeer(roots.get()).ok() ? 0 : 1; }), 0);
  EXPECT_EQ(InFork([&] {
              int pair[2];
              if (setresuid(kMallory, kMallory, 0) != 0) return 1;
              if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) return 2;
              if (setresuid(0, 0, 0) != 0) return 3;
              absl::Status status = CheckPeer(pair[0]);
              if (!absl::IsPermissionDenied(status)) return 4;
              return absl::StrContains(status.message(), "as uid 4243, not as ours (uid 0)") ? 0
                                                                                             : 5;
            }),
            0);
}

TEST_F(OtherUsersTest, AChildThatBecameSomebodyElseCannotBeKilledByAnother) {
  // In a forked process, which gives up its own rights after the spawn.
  EXPECT_EQ(InFork([&] {
              SpawnRequest request;
              request.command = {"/bin/sleep", "60"};
              absl::StatusOr<Child> child = Spawn(ProcessImage::Record(), request);
              if (!child.ok()) return 1;
              if (seteuid(kAlice) != 0) return 2;  // the child is root's still
              if (setresuid(kAlice, kAlice, 0) != 0) return 3;
              bool denied = absl::IsPermissionDenied(Kill(*child));
              if (setresuid(0, 0, 0) != 0 || !Kill(*child).ok()) return 4;
              WaitForEnd(*child);
              return denied ? 0 : 5;
            }),
            0);
}

TEST_F(OtherUsersTest, AWorkingDirectoryThatIsClosedToUsIsNotTakenForABadProgram) {
  EXPECT_EQ(InFork([&] {
              if (mkdir(temp_.File("closed").c_str(), 0600) != 0 || setuid(kAlice) != 0) return 1;
              ProcessImage image = ProcessImage::Record();
              image.working_directory = temp_.File("closed");
              SpawnRequest request;
              request.command = {"/bin/true"};
              absl::Status status = Spawn(image, request).status();
              if (!absl::IsPermissionDenied(status)) return 2;
              return absl::StrContains(status.message(), "enter working directory") ? 0 : 3;
            }),
            0);
}

TEST_F(OtherUsersTest, TheLimitOfProcessesIsNamedWhenItIsReached) {
  EXPECT_EQ(InFork([&] {
              rlimit none = {0, 0};  // root has no such limit
              if (setrlimit(RLIMIT_NPROC, &none) != 0 || setuid(kAlice) != 0) return 1;
              ProcessImage image = ProcessImage::Record();
              image.working_directory = "/";  // ours may be closed to her
              SpawnRequest request;
              request.command = {"/bin/true"};
              absl::Status status = Spawn(image, request).status();
              if (!absl::IsResourceExhausted(status)) return 2;
              return absl::StrContains(status.message(), "RLIMIT_NPROC") ? 0 : 3;
            }),
            0);
}

}  // namespace
}  // namespace zdd
