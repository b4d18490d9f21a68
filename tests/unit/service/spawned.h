// What tests of Spawn() need: the program to start, its report, and a wait for its end.
//
//   TempDir dir;
//   SpawnRequest request;
//   request.command = {SpawnedProgram(), dir.File("report"), "exit", "3"};
//   ASSERT_OK_AND_MOVE(Child child, Spawn(ProcessImage::Record(), request));
//   EXPECT_EQ(ToString(WaitForEnd(child)), "exited with code 3");
//   SpawnedReport report = ReadReport(dir.File("report"));
//
// Threads: the test's own.
#ifndef TESTS_UNIT_SERVICE_SPAWNED_H_
#define TESTS_UNIT_SERVICE_SPAWNED_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "zdd/service/child.h"

namespace zdd {

// The absolute path of the program in spawned_main.cc.
std::string SpawnedProgram();

struct SpawnedReport {
  std::map<int, std::string> fds;  // what each leads to
  std::string directory;
  std::string program;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  pid_t group = 0;
  uint64_t blocked = 0;  // bit n - 1 for signal n
  uint64_t ignored = 0;
};

SpawnedReport ReadReport(const std::string& path);

// Waits for the death of `child`, at most a minute, and reaps it.
ExitInfo WaitForEnd(const Child& child);

// Runs `body` in a forked process of one thread and gives its exit code, for what would spoil the
// test's own process: closed stdout, a low limit, ignored signals. A signal counts as -signal.
int InFork(const std::function<int()>& body);

}  // namespace zdd

#endif  // TESTS_UNIT_SERVICE_SPAWNED_H_
