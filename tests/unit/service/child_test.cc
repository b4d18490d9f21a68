#include "zdd/service/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

Child Forked(int (*body)()) {
  pid_t pid = fork();
  if (pid == 0) _exit(body());
  return Child{pid, OwnedFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)))};
}

int Sleep() { return pause(); }
int EndWithThree() { return 3; }

void WaitUntilDead(const Child& child) {
  pollfd entry = {child.pidfd.get(), POLLIN, 0};
  ASSERT_EQ(poll(&entry, 1, 60000), 1);
}

class ChildTest : public ::testing::Test {
  FdAudit audit_;
};

TEST_F(ChildTest, ALivingChildHasNoExit) {
  Child child = Forked(Sleep);
  EXPECT_EQ(Reap(child), absl::nullopt);
  EXPECT_OK(Kill(child));
  EXPECT_EQ(ToString(WaitForEnd(child)), "killed by signal 9 (Killed)");
}

TEST_F(ChildTest, AnExitCodeIsTold) {
  Child child = Forked(EndWithThree);
  ExitInfo exit = WaitForEnd(child);
  EXPECT_EQ(exit.kind, ExitInfo::kExited);
  EXPECT_EQ(exit.code, 3);
  EXPECT_EQ(ToString(exit), "exited with code 3");
}

TEST_F(ChildTest, ACrashIsToldByItsSignal) {
  Child child = Forked([] { return signal(SIGSEGV, SIG_DFL), raise(SIGSEGV); });
  ExitInfo exit = WaitForEnd(child);
  EXPECT_EQ(exit.kind, ExitInfo::kKilled);
  EXPECT_EQ(ToString(ExitInfo{exit.kind, exit.code, false}),
            "killed by signal 11 (Segmentation fault)");
}

TEST_F(ChildTest, AnExitIsCollectedOnce) {
  Child child = Forked(EndWithThree);
  EXPECT_EQ(WaitForEnd(child).kind, ExitInfo::kExited);
  ASSERT_TRUE(Reap(child).has_value());
  EXPECT_EQ(Reap(child)->kind, ExitInfo::kTaken);
}

TEST_F(ChildTest, OtherChildrenOfTheProcessAreLeftAlone) {
  Child stranger = Forked([] { return 4; });
  Child child = Forked(EndWithThree);
  WaitUntilDead(stranger);
  EXPECT_EQ(WaitForEnd(child).code, 3);
  int status = 0;
  EXPECT_EQ(waitpid(stranger.pid, &status, 0), stranger.pid);
  EXPECT_EQ(WEXITSTATUS(status), 4);
}

TEST_F(ChildTest, AnEmbedderThatReapsEverythingTakesTheStatus) {
  Child child = Forked(EndWithThree);
  EXPECT_EQ(waitpid(-1, nullptr, 0), child.pid);
  ASSERT_TRUE(Reap(child).has_value());
  EXPECT_EQ(ToString(*Reap(child)), "ended, its exit status taken by someone else");
}

TEST_F(ChildTest, AnIgnoredSigchldTakesTheStatus) {
  auto before = signal(SIGCHLD, SIG_IGN);
  Child child = Forked(Sleep);  // one that ends at once is gone before its pidfd is opened
  EXPECT_OK(Kill(child));
  EXPECT_EQ(WaitForEnd(child).kind, ExitInfo::kTaken);
  signal(SIGCHLD, before);
}

TEST_F(ChildTest, AProcessThatIsNoChildLivesOnUntilItsDeathIsSeen) {
  // A grandchild: waitid() knows nothing of it, the pidfd does.
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  OwnedFd reader(pipe_fds[0]), writer(pipe_fds[1]);
  InFork([&] {
    pid_t grandchild = fork();
    if (grandchild == 0) _exit(pause());
    return write(writer.get(), &grandchild, sizeof grandchild) > 0 ? 0 : 1;
  });
  pid_t pid = 0;
  ASSERT_EQ(read(reader.get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  Child child{pid, OwnedFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)))};
  EXPECT_EQ(Reap(child), absl::nullopt);
  EXPECT_OK(Kill(child));
  EXPECT_EQ(WaitForEnd(child).kind, ExitInfo::kTaken);
}

TEST_F(ChildTest, ADeadChildCanBeKilledAgain) {
  Child child = Forked(EndWithThree);
  WaitForEnd(child);
  EXPECT_OK(Kill(child));
  EXPECT_OK(Kill(child, SIGTERM));
}

TEST_F(ChildTest, ASignalThatDoesNotExistIsRefused) {
  Child child = Forked(Sleep);
  EXPECT_STATUS(Kill(child, 4711), kInvalidArgument, "pidfd_send_signal 4711");
  EXPECT_OK(Kill(child));
  WaitForEnd(child);
}

}  // namespace
}  // namespace zdd
