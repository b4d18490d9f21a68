#include "tests/unit/service/spawned.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace zdd {

std::string SpawnedProgram() {
  char directory[4096];
  if (getcwd(directory, sizeof directory) == nullptr) return "";
  return std::string(directory) + "/tests/unit/service/spawned_program";
}

SpawnedReport ReadReport(const std::string& path) {
  SpawnedReport report;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::string key = line.substr(0, line.find(' '));
    std::string value = line.substr(std::min(line.size(), key.size() + 1));
    if (key == "fd") report.fds[atoi(value.c_str())] = value.substr(value.find(' ') + 1);
    if (key == "cwd") report.directory = value;
    if (key == "exe") report.program = value;
    if (key == "arg") report.argv.push_back(value);
    if (key == "env") report.environment.push_back(value);
    if (key == "group") report.group = atoi(value.c_str());
    if (key == "blocked") report.blocked = strtoull(value.c_str(), nullptr, 16);
    if (key == "ignored") report.ignored = strtoull(value.c_str(), nullptr, 16);
  }
  return report;
}

ExitInfo WaitForEnd(const Child& child) {
  pollfd entry = {child.pidfd.get(), POLLIN, 0};
  while (poll(&entry, 1, 60000) < 0 && errno == EINTR) {
  }
  absl::optional<ExitInfo> exit = Reap(child);
  return exit ? *exit : ExitInfo{ExitInfo::kTaken, -1};
}

int InFork(const std::function<int()>& body) {
  pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace zdd
