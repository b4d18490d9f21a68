#include "examples/demo/guard.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "examples/demo/processes.h"
#include "gtest/gtest.h"
#include "tests/util/processes.h"

namespace demo {
namespace {

using Body = absl::FunctionRef<int(const std::string&)>;

// What the body tells the test, through a pipe.
struct Told {
  pid_t orphan = 0;
  char directory[200] = {};
};

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe(ends_), 0); }
  ~Pipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void Tell(const Told& told) {
    EXPECT_EQ(write(ends_[1], &told, sizeof(told)), ssize_t{sizeof(told)});
  }
  Told Hear() {
    Told told;
    EXPECT_EQ(read(ends_[0], &told, sizeof(told)), ssize_t{sizeof(told)});
    return told;
  }

 private:
  int ends_[2];
};

// RunGuarded in a process of its own, since it changes the one that it runs in.
pid_t StartGuard(Body body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(RunGuarded(body));
  return pid;
}

int AwaitExit(pid_t pid) {
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Leaves a file, and a process whose parent is gone and which has stopped itself. Has told of both
// when it returns: what runs after it may kill them.
void LeaveThingsBehind(const std::string& directory, Pipe* pipe) {
  std::ofstream(directory + "/file") << "x";
  Pipe from_orphan;
  const pid_t parent = fork();
  if (parent == 0) {
    const pid_t orphan = fork();
    if (orphan == 0) {
      Told told = {.orphan = getpid()};
      directory.copy(told.directory, sizeof(told.directory) - 1);
      from_orphan.Tell(told);
      for (;;) raise(SIGSTOP);
    }
    _exit(0);
  }
  waitpid(parent, nullptr, 0);
  pipe->Tell(from_orphan.Hear());
}

void ExpectNothingLeft(const Told& told) {
  EXPECT_GT(told.orphan, 0);
  EXPECT_EQ(kill(told.orphan, 0), -1) << "pid " << told.orphan << " lives";
  EXPECT_FALSE(std::filesystem::exists(told.directory)) << told.directory;
}

TEST(GuardTest, ReturnsWhatTheBodyReturnsAndLeavesNothing) {
  Pipe pipe;
  const pid_t guard = StartGuard([&](const std::string& directory) {
    LeaveThingsBehind(directory, &pipe);
    return 7;
  });
  EXPECT_EQ(AwaitExit(guard), 7);
  ExpectNothingLeft(pipe.Hear());
}

TEST(GuardTest, LeavesNothingWhenTheBodyIsKilled) {
  Pipe pipe;
  const pid_t guard = StartGuard([&](const std::string& directory) {
    LeaveThingsBehind(directory, &pipe);
    return raise(SIGKILL);
  });
  EXPECT_EQ(AwaitExit(guard), 128 + SIGKILL);
  ExpectNothingLeft(pipe.Hear());
}

TEST(GuardTest, LeavesNothingWhenItIsInterrupted) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Pipe pipe;
    const pid_t guard = StartGuard([&](const std::string& directory) {
      LeaveThingsBehind(directory, &pipe);
      return pause();
    });
    const Told told = pipe.Hear();
    kill(guard, signal);
    EXPECT_EQ(AwaitExit(guard), 128 + signal);
    ExpectNothingLeft(told);
  }
}

TEST(ProcessesTest, KnowsChildrenAndTheirMemory) {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  EXPECT_EQ(zdd::ChildrenOf(getpid()), std::vector<pid_t>{child});
  EXPECT_GT(ResidentKib(child), 0);
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(zdd::ChildrenOf(getpid()).empty());
  EXPECT_EQ(ResidentKib(child), 0);
}

}  // namespace
}  // namespace demo
