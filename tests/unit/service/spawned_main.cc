// The program that the tests start: `spawned_program REPORT COMMAND [ARGUMENT]`. It writes what it
// was given to the file REPORT (read it with spawned.h), then obeys.
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "zdd/service/child.h"
#include "zdd/service/inherited_channels.h"
#include "zdd/service/process_image.h"
#include "zdd/service/signals.h"
#include "zdd/service/spawn.h"

namespace zdd {
namespace {

std::string LinkTarget(const std::string& path) {
  char target[PATH_MAX];
  ssize_t size = readlink(path.c_str(), target, sizeof target);
  return size < 0 ? "" : std::string(target, size);
}

void WriteFds(std::ostream& out) {
  DIR* directory = opendir("/proc/self/fd");
  while (dirent* entry = readdir(directory)) {
    int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(directory)) continue;
    out << "fd " << fd << ' ' << LinkTarget("/proc/self/fd/" + std::to_string(fd)) << '\n';
  }
  closedir(directory);
}

void WriteReport(const std::string& path, int argc, char** argv) {
  std::string text;
  std::ostringstream out;
  WriteFds(out);  // before the report itself is open
  out << "cwd " << LinkTarget("/proc/self/cwd") << "\nexe " << LinkTarget("/proc/self/exe") << '\n';
  for (int i = 0; i < argc; ++i) out << "arg " << argv[i] << '\n';
  for (char** variable = environ; *variable != nullptr; ++variable)
    out << "env " << *variable << '\n';
  out << "group " << getpgrp() << '\n';
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("SigBlk:", 0) == 0) out << "blocked " << line.substr(8) << '\n';
    if (line.rfind("SigIgn:", 0) == 0) out << "ignored " << line.substr(8) << '\n';
  }
  std::ofstream(path) << out.str();
}

// Sends the service's name over its channel.
int SayName(const std::string& service) {
  auto channel = TakeInheritedChannel(service);
  if (!channel.ok() || !channel->has_value()) return 10;
  bool sent = send((**channel).fd.get(), service.data(), service.size(), 0) > 0;
  return sent ? 0 : 11;
}

// Waits for a word of the test, then takes `signal` and ends with the first one that comes.
int TakeWhenTold(int signal) {
  auto channel = TakeInheritedChannel("hello");
  char word;
  if (!channel.ok() || !*channel || recv((**channel).fd.get(), &word, 1, 0) != 1) return 10;
  auto taker = SignalTaker::Take({signal});
  if (!taker.ok()) return 11;
  pollfd entry = {(*taker)->fd(), POLLIN, 0};
  if (poll(&entry, 1, 30000) != 1) return 12;
  std::vector<int> signals = (*taker)->Read();
  return signals == std::vector<int>{signal} ? 0 : 13;
}

// The same for a version that has no use for the signal.
int LetGoWhenTold() {
  auto channel = TakeInheritedChannel("hello");
  char word;
  if (!channel.ok() || !*channel || recv((**channel).fd.get(), &word, 1, 0) != 1) return 10;
  UnblockUntaken((**channel).held_signal);
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, (**channel).held_signal) == 0 ? 0 : 11;
}

// A server whose package is removed while it runs.
int RespawnDeleted(const std::string& report, bool allow) {
  ProcessImage image = ProcessImage::Record();
  unlink(image.argv[0].c_str());
  SpawnRequest request;
  request.command = {image.argv[0], report, "exit", "7"};
  request.allow_deleted_program = allow;
  absl::StatusOr<Child> child = Spawn(image, request);
  if (!child.ok()) return absl::IsNotFound(child.status()) ? 20 : 21;
  pollfd entry = {child->pidfd.get(), POLLIN, 0};
  poll(&entry, 1, 30000);
  absl::optional<ExitInfo> exit = Reap(*child);
  return exit ? exit->code : 22;
}

int Obey(const std::string& report, const std::string& command, const std::string& argument) {
  if (command == "exit") return atoi(argument.c_str());
  if (command == "raise") return raise(atoi(argument.c_str()));
  if (command == "wait") return pause();
  if (command == "say_name") return SayName(argument);
  if (command == "take_when_told") return TakeWhenTold(atoi(argument.c_str()));
  if (command == "let_go_when_told") return LetGoWhenTold();
  if (command == "respawn_deleted") return RespawnDeleted(report, argument == "allowed");
  return 99;
}

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) {
  if (argc < 3) return 98;
  zdd::WriteReport(argv[1], argc, argv);
  return zdd::Obey(argv[1], argv[2], argc > 3 ? argv[3] : "");
}
