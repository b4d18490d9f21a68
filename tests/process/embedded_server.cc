#include "tests/process/embedded_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/util/processes.h"
#include "zdd/base/time.h"

extern char** environ;

namespace zdd {
namespace {

// How long a look for something that no descriptor tells (a process has ended) waits before the
// next one.
constexpr absl::Duration kLookAgain = absl::Milliseconds(2);

}  // namespace

EmbeddedServer::EmbeddedServer(const std::string& program, std::vector<std::string> flags)
    : flags_(std::move(flags)) {
  // Generations outlive those that spawned them; they are collected here.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  setenv("ZDD_RUNTIME_DIR", dir_.File("run").c_str(), 1);
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  log_reader_ = OwnedFd(ends[0]);
  log_writer_ = OwnedFd(ends[1]);
  fcntl(log_reader_.get(), F_SETFL, O_NONBLOCK);
  Install(program);
}

EmbeddedServer::~EmbeddedServer() {
  // One that is killed may have started another just before.
  for (std::vector<pid_t> left; !(left = ChildrenOf(getpid())).empty();) {
    for (pid_t pid : left) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }
}

void EmbeddedServer::Install(const std::string& program) {
  const std::string path = dir_.File("server");
  std::filesystem::copy_file(program, path + ".new");
  std::filesystem::rename(path + ".new", path);
}

pid_t EmbeddedServer::Start() {
  std::vector<std::string> words = flags_;
  words.insert(words.begin(), dir_.File("server"));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, log_writer_.get(), STDERR_FILENO);
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

void EmbeddedServer::Signal(pid_t pid, int signal) {
  EXPECT_EQ(kill(pid, signal), 0) << "pid " << pid << "\n" << log_;
}

bool EmbeddedServer::ReadLog(absl::Duration limit) {
  pollfd readable = {log_reader_.get(), POLLIN, 0};
  poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(limit)));
  char buffer[4096];
  const ssize_t size = read(log_reader_.get(), buffer, sizeof(buffer));
  if (size > 0) log_.append(buffer, size);
  return size > 0;
}

void EmbeddedServer::Await(const std::string& text, absl::Duration limit) {
  const Instant deadline = MonotonicNow() + limit;
  do {
    for (size_t begin = 0, end; (end = log_.find('\n', begin)) != std::string::npos;) {
      if (log_.substr(begin, end - begin).find(text) != std::string::npos &&
          awaited_.insert(begin).second) {
        return;
      }
      begin = end + 1;
    }
    ReadLog(std::max(deadline - MonotonicNow(), absl::ZeroDuration()));
  } while (MonotonicNow() < deadline);
  ADD_FAILURE() << "no line \"" << text << "\" within " << limit << "\n" << log_;
}

int EmbeddedServer::AwaitExit(pid_t pid, absl::Duration limit) {
  const Instant deadline = MonotonicNow() + limit;
  do {
    int status;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      statuses_[ended] = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    if (auto it = statuses_.find(pid); it != statuses_.end()) return it->second;
    ReadLog(kLookAgain);
  } while (MonotonicNow() < deadline);
  ADD_FAILURE() << "pid " << pid << " did not end within " << limit << "\n" << log_;
  return 256;
}

void EmbeddedServer::AwaitNobody(absl::Duration limit) {
  const Instant deadline = MonotonicNow() + limit;
  while (waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD) {
    if (MonotonicNow() >= deadline) {
      ADD_FAILURE() << "somebody still runs after " << limit << "\n" << log_;
      return;
    }
    ReadLog(kLookAgain);
  }
}

pid_t EmbeddedServer::ChildOf(pid_t pid) const {
  std::vector<pid_t> children = ChildrenOf(pid);
  children.erase(std::remove_if(children.begin(), children.end(),
                                [](pid_t child) { return !IsLiving(child); }),
                 children.end());
  EXPECT_EQ(children.size(), 1u) << "children of pid " << pid << "\n" << log_;
  return children.empty() ? 0 : children.front();
}

std::map<std::string, int> EmbeddedServer::FdsOf(pid_t pid) {
  std::map<std::string, int> fds;
  std::error_code error;
  const std::string folder = absl::StrCat("/proc/", pid, "/fd");
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string what = std::filesystem::read_symlink(entry.path(), error);
    ++fds[what.substr(0, what.find_first_of("0123456789"))];  // "socket:[4711]" is "socket:["
  }
  return fds;
}

}  // namespace zdd
