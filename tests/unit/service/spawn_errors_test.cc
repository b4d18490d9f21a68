// What Spawn() says when there is nothing to start, and that it leaves nothing behind.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"
#include "zdd/service/exec_error.h"
#include "zdd/service/spawn.h"

namespace zdd {
namespace {

class SpawnErrorsTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir dir_;
  ProcessImage image_ = ProcessImage::Record();

  ~SpawnErrorsTest() override {
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD) << "a process was left behind";
  }

  std::string Write(const std::string& name, const std::string& text, int mode) {
    std::string path = dir_.File(name);
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path;
  }

  absl::StatusOr<Child> Start(const std::string& program) {
    SpawnRequest request;
    request.command = {program, dir_.File("report"), "exit", "0"};
    return Spawn(image_, request);
  }
};

TEST_F(SpawnErrorsTest, AMissingProgramIsNamed) {
  EXPECT_STATUS(Start(dir_.File("no")), kNotFound, dir_.File("no") + ": No such file");
  EXPECT_STATUS(Start(dir_.File("no/such")), kNotFound, "(ENOENT)");
  EXPECT_STATUS(Start(Write("file", "", 0755) + "/below"), kNotFound, "(ENOTDIR)");
}

TEST_F(SpawnErrorsTest, ADanglingLinkIsCalledThat) {
  std::filesystem::create_symlink("v3", dir_.File("current"));
  EXPECT_STATUS(Start(dir_.File("current")), kNotFound, "a symbolic link that leads nowhere");
}

TEST_F(SpawnErrorsTest, AWordThatPathDoesNotKnowNamesPath) {
  image_.environment = {"PATH=/nowhere:/neither"};
  EXPECT_STATUS(Start("no-such-server"), kNotFound, "not found in PATH (/nowhere:/neither");
}

TEST_F(SpawnErrorsTest, AMissingInterpreterIsNamed) {
  std::string script = Write("script", "#! /no/such/shell -e\n", 0755);
  EXPECT_STATUS(Start(script), kNotFound, "its interpreter /no/such/shell is missing");
}

TEST_F(SpawnErrorsTest, AMissingDynamicLoaderIsSuspected) {
  std::ifstream in(SpawnedProgram(), std::ios::binary);
  std::string elf((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  size_t loader = elf.find("/lib64/ld-linux");
  ASSERT_NE(loader, elf.npos);
  elf[loader + 1] = 'X';
  EXPECT_STATUS(Start(Write("elf", elf, 0755)), kNotFound, "its dynamic loader is missing");
}

TEST_F(SpawnErrorsTest, WhatIsNotExecutableIsToldToBeMadeSo) {
  EXPECT_STATUS(Start(Write("plain", "#!/bin/sh\n", 0644)), kPermissionDenied, "chmod +x");
  EXPECT_STATUS(Start(dir_.path()), kPermissionDenied, "a directory, no program");
  EXPECT_STATUS(Start("/dev/null"), kPermissionDenied, "no regular file");
}

TEST_F(SpawnErrorsTest, WhatIsNoProgramIsCalledThat) {
  EXPECT_STATUS(Start(Write("text", "echo hello\n", 0755)), kFailedPrecondition, "(ENOEXEC)");
}

TEST_F(SpawnErrorsTest, AProgramThatIsBeingWrittenIsWorthAnotherTry) {
  std::filesystem::copy_file(SpawnedProgram(), dir_.File("server"));
  OwnedFd writer(open(dir_.File("server").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  EXPECT_STATUS(Start(dir_.File("server")), kUnavailable, "it is being written");
  writer.Reset();
  ASSERT_OK_AND_MOVE(Child child, Start(dir_.File("server")));
  EXPECT_EQ(ToString(WaitForEnd(child)), "exited with code 0");
}

TEST_F(SpawnErrorsTest, AnUnknownCommandIsAskedFor) {
  image_.argv.clear();
  EXPECT_STATUS(Spawn(image_, {}), kFailedPrecondition, "set Options::command");
}

TEST_F(SpawnErrorsTest, AGoneWorkingDirectoryIsNamed) {
  image_.working_directory = dir_.File("v1");
  EXPECT_STATUS(Start(SpawnedProgram()), kNotFound,
                "enter working directory " + dir_.File("v1") +
                    " (make it again, or set Options::working_directory");
}

TEST_F(SpawnErrorsTest, WithoutMemoryTheLimitIsNamed) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit little = {1 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &little), 0);
  const absl::Status status = ExecError(ENOMEM, "/x");
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_STATUS(status, kResourceExhausted, "RLIMIT_AS of this process (1048576 bytes)");
}

TEST_F(SpawnErrorsTest, ACommandThatIsTooLongIsRefused) {
  image_.environment = {"X=" + std::string(300000, 'x')};  // MAX_ARG_STRLEN is 128 KiB
  EXPECT_STATUS(Start(SpawnedProgram()), kInvalidArgument, "(E2BIG)");
}

TEST_F(SpawnErrorsTest, WrongChannelsAreRefused) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
  OwnedFd one(fds[0]), two(fds[1]);
  OwnedFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  SpawnRequest request;
  request.command = {SpawnedProgram(), dir_.File("report"), "exit", "0"};
  request.channels = {{"Hello", one.get(), 0}};
  EXPECT_STATUS(Spawn(image_, request), kInvalidArgument, "has a 'H'");
  request.channels = {{"a", one.get(), SIGKILL}};
  EXPECT_STATUS(Spawn(image_, request), kInvalidArgument, "SIGKILL");
  request.channels = {{"a", one.get(), 0}, {"a", two.get(), 0}};
  EXPECT_STATUS(Spawn(image_, request), kInvalidArgument, "\"a\" twice");
  request.channels = {{"a", file.get(), 0}};
  EXPECT_STATUS(Spawn(image_, request), kFailedPrecondition, "ENOTSOCK");
}

TEST_F(SpawnErrorsTest, WhateverFailsLeavesNoProcessAndNoDescriptor) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
  OwnedFd ours(fds[0]), theirs(fds[1]);
  SpawnRequest request;
  request.command = {SpawnedProgram(), dir_.File("report"), "wait"};
  request.channels = {{"a", theirs.get(), 0}};
  int n = 1;
  for (;; ++n) {
    FaultySyscalls faulty({.kind = Syscall::kAny, .nth = n, .error = EMFILE});
    absl::StatusOr<Child> child = Spawn(image_, request, faulty);
    if (!faulty.fired()) {
      ASSERT_OK(child);
      EXPECT_OK(Kill(*child));
      EXPECT_EQ(ToString(WaitForEnd(*child)), "killed by signal 9 (Killed)");
      break;
    }
    EXPECT_STATUS(child, kResourceExhausted, "(EMFILE)");
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  }
  EXPECT_GT(n, 3);  // directory, reserved pidfd, pidfd
}

}  // namespace
}  // namespace zdd
