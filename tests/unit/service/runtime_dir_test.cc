#include "zdd/service/runtime_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

class RuntimeDirTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir temp_;
  std::string path_ = temp_.File("run");

  mode_t Mode(const std::string& path) {
    struct stat facts {};
    stat(path.c_str(), &facts);
    return facts.st_mode & 07777;
  }
};

TEST_F(RuntimeDirTest, ThePlaceIsTheFirstThatIsGiven) {
  RuntimeDirHints hints{"/option", "/zdd", "/xdg", 0};
  EXPECT_EQ(ChooseRuntimeDir(hints), "/option");
  hints.option.clear();
  EXPECT_EQ(ChooseRuntimeDir(hints), "/zdd");
  hints.zdd_runtime_dir.clear();
  EXPECT_EQ(ChooseRuntimeDir(hints), "/xdg/zdd");
  hints.xdg_runtime_dir = "relative";  // "must be ignored": XDG base directories
  EXPECT_EQ(ChooseRuntimeDir(hints), "/run/zdd");
  hints.uid = 1000;
  EXPECT_EQ(ChooseRuntimeDir(hints), "/tmp/zdd-1000");
}

TEST_F(RuntimeDirTest, TheHintsAreThoseOfThisProcess) {
  setenv("ZDD_RUNTIME_DIR", "/a", 1);
  unsetenv("XDG_RUNTIME_DIR");
  RuntimeDirHints hints = RuntimeDirHints::Of("/o");
  unsetenv("ZDD_RUNTIME_DIR");
  EXPECT_EQ(hints.option, "/o");
  EXPECT_EQ(hints.zdd_runtime_dir, "/a");
  EXPECT_EQ(hints.xdg_runtime_dir, "");
  EXPECT_EQ(hints.uid, geteuid());
}

TEST_F(RuntimeDirTest, AMissingDirectoryIsMadeForUsAlone) {
  for (mode_t mask : {0, 022, 0777}) {
    mode_t before = umask(mask);
    EXPECT_OK(EnsureRuntimeDir(path_));
    umask(before);
    EXPECT_EQ(Mode(path_), 0700u) << mask;
    rmdir(path_.c_str());
  }
}

TEST_F(RuntimeDirTest, AnOwnDirectoryIsUsedAsItIs) {
  EXPECT_OK(EnsureRuntimeDir(path_));
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_ + "//"));
  EXPECT_EQ(dir.path, path_);
  EXPECT_EQ(dir.LongPath("x.sock"), path_ + "/x.sock");
  EXPECT_EQ(fcntl(dir.fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(RuntimeDirTest, ADirectoryThatIsOpenToOthersIsRefused) {
  for (int mode : {0755, 0710, 0701, 0770, 01777}) {
    ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
    chmod(path_.c_str(), mode);
    EXPECT_STATUS(EnsureRuntimeDir(path_), kPermissionDenied, "chmod 0700 it");
    EXPECT_EQ(Mode(path_), static_cast<mode_t>(mode)) << "it was changed";
    rmdir(path_.c_str());
  }
  mkdir(path_.c_str(), 0700);
  chmod(path_.c_str(), 0755);
  EXPECT_STATUS(EnsureRuntimeDir(path_), kPermissionDenied, "(mode 0755, at most 0700)");
}

TEST_F(RuntimeDirTest, ASymlinkIsRefusedEvenToAnOwnDirectory) {
  ASSERT_EQ(mkdir(temp_.File("real").c_str(), 0700), 0);
  std::filesystem::create_symlink("real", path_);
  EXPECT_STATUS(EnsureRuntimeDir(path_), kFailedPrecondition, "a symbolic link");
  EXPECT_STATUS(EnsureRuntimeDir(path_ + "/"), kFailedPrecondition, "a symbolic link");
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("nowhere", path_);
  EXPECT_STATUS(EnsureRuntimeDir(path_), kFailedPrecondition, "a symbolic link");
  EXPECT_FALSE(std::filesystem::exists(temp_.File("nowhere")));
}

TEST_F(RuntimeDirTest, WhatIsNoDirectoryIsRefused) {
  std::ofstream(path_) << "x";
  EXPECT_STATUS(EnsureRuntimeDir(path_), kFailedPrecondition, "no directory");
  EXPECT_STATUS(EnsureRuntimeDir(path_ + "/below"), kFailedPrecondition, "(ENOTDIR)");
}

TEST_F(RuntimeDirTest, ParentsAreNotMade) {
  EXPECT_STATUS(EnsureRuntimeDir(path_ + "/below"), kNotFound, "mkdir runtime directory " + path_);
}

TEST_F(RuntimeDirTest, ARelativePathIsRefused) {
  EXPECT_STATUS(EnsureRuntimeDir("run"), kInvalidArgument, "no absolute path");
  EXPECT_STATUS(EnsureRuntimeDir(""), kInvalidArgument, "no absolute path");
}

TEST_F(RuntimeDirTest, WhatIsPutInItsPlaceLaterIsNotUsed) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  std::filesystem::rename(path_, temp_.File("moved"));
  std::filesystem::create_directory(path_);
  EXPECT_OK(LockStart(dir, "hello"));
  EXPECT_TRUE(std::filesystem::is_empty(path_));
  EXPECT_TRUE(std::filesystem::exists(temp_.File("moved/hello.lock")));
}

TEST_F(RuntimeDirTest, ADirectoryThatIsGoneIsSaidToBe) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  rmdir(path_.c_str());
  EXPECT_STATUS(LockStart(dir, "hello"), kNotFound, "the directory is gone");
}

TEST_F(RuntimeDirTest, TheLockIsHeldByOneAndReleasedByItsEnd) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  {
    ASSERT_OK_AND_MOVE(StartLock lock, LockStart(dir, "hello"));
    EXPECT_STATUS(LockStart(dir, "hello", absl::Milliseconds(5)), kUnavailable,
                  "held by another start for more than 5ms");
    EXPECT_OK(LockStart(dir, "other", absl::ZeroDuration()));
  }
  EXPECT_OK(LockStart(dir, "hello", absl::ZeroDuration()));
  EXPECT_EQ(Mode(path_ + "/hello.lock"), 0600u);
}

TEST_F(RuntimeDirTest, AForkedChildDoesNotKeepTheLock) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  OwnedFd reader(pipe_fds[0]), writer(pipe_fds[1]);
  pid_t child;
  {
    ASSERT_OK_AND_MOVE(StartLock lock, LockStart(dir, "hello"));
    child = fork();
    if (child == 0) {
      char byte;
      writer.Reset();
      _exit(read(reader.get(), &byte, 1) == 0 ? 0 : 1);
    }
  }
  EXPECT_OK(LockStart(dir, "hello", absl::ZeroDuration()));
  writer.Reset();
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
}

TEST_F(RuntimeDirTest, AHolderThatDiesLetsGo) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  EXPECT_EQ(InFork([&] {
              auto lock = LockStart(dir, "hello");
              if (!lock.ok()) return 1;
              return raise(SIGKILL);
            }),
            -SIGKILL);
  EXPECT_OK(LockStart(dir, "hello", absl::ZeroDuration()));
}

TEST_F(RuntimeDirTest, AWaiterGetsTheLockAsSoonAsItIsFree) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  OwnedFd reader(pipe_fds[0]), writer(pipe_fds[1]);
  absl::optional<absl::StatusOr<StartLock>> lock(LockStart(dir, "hello"));
  pid_t waiter = fork();
  if (waiter == 0) {
    if (write(writer.get(), "x", 1) != 1) _exit(1);
    _exit(LockStart(dir, "hello", absl::Seconds(60)).ok() ? 0 : 2);
  }
  char byte;
  EXPECT_EQ(read(reader.get(), &byte, 1), 1);
  lock.reset();
  int status = 0;
  EXPECT_EQ(waitpid(waiter, &status, 0), waiter);
  EXPECT_EQ(status, 0);
}

TEST_F(RuntimeDirTest, ALockFileIsNoSymlink) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  std::filesystem::create_symlink(temp_.File("victim"), path_ + "/hello.lock");
  EXPECT_STATUS(LockStart(dir, "hello"), kInternal, "(ELOOP)");
  EXPECT_FALSE(std::filesystem::exists(temp_.File("victim")));
}

TEST_F(RuntimeDirTest, ANameThatWouldLeaveTheDirectoryIsRefused) {
  ASSERT_OK_AND_MOVE(RuntimeDir dir, EnsureRuntimeDir(path_));
  EXPECT_STATUS(LockStart(dir, "../x"), kInvalidArgument, "service name");
}

TEST_F(RuntimeDirTest, RunningOutOfDescriptorsIsSaid) {
  for (int n = 1;; ++n) {
    FaultySyscalls faulty({.kind = Syscall::kAny, .nth = n, .error = EMFILE});
    absl::StatusOr<RuntimeDir> dir = EnsureRuntimeDir(path_, faulty);
    absl::Status status = dir.status();
    if (dir.ok()) status = LockStart(*dir, "hello", absl::ZeroDuration(), faulty).status();
    if (!faulty.fired()) break;
    EXPECT_STATUS(status, kResourceExhausted, "open ");
  }
}

}  // namespace
}  // namespace zdd
