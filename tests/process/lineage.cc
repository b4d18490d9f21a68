#include "tests/process/lineage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/util/processes.h"
#include "zdd/base/time.h"

extern char** environ;

namespace zdd {
namespace {

// How long a look for something that no descriptor tells (a process that was stopped) waits before
// the next one.
constexpr int kLookAgainMs = 2;

std::string ServerPath() { return "tests/process/test_server"; }

}  // namespace

Lineage::Lineage(std::vector<std::string> common) : common_(std::move(common)) {
  // Generations outlive those that spawned them; they are collected here.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const std::string fifo = dir_.File("events");
  EXPECT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  fifo_ = OwnedFd(open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  common_.push_back("events " + fifo);
  common_.push_back("dir " + dir_.File("run"));
  common_.push_back("pid_file " + dir_.File("pid"));
}

Lineage::~Lineage() {
  ReadEvents(absl::ZeroDuration());
  for (pid_t pid : living_) kill(pid, SIGKILL);
  for (pid_t pid : std::set<pid_t>(living_)) AwaitExit(pid);
  // Whoever never told an event, too.
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void Lineage::Script(const std::vector<std::string>& lines) {
  const std::string path = dir_.File("script");
  {
    std::ofstream file(path + ".new");
    file << absl::StrJoin(common_, "\n") << "\n" << absl::StrJoin(lines, "\n") << "\n";
  }
  EXPECT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
}

pid_t Lineage::Start() {
  const std::string path = ServerPath();
  const std::string script = dir_.File("script");
  char* argv[] = {const_cast<char*>(path.c_str()), const_cast<char*>(script.c_str()), nullptr};
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, path.c_str(), nullptr, nullptr, argv, environ), 0);
  living_.insert(pid);
  return pid;
}

pid_t Lineage::StartFirst(const std::vector<std::string>& lines) {
  Script(lines);
  pid_t pid = Start();
  Await("test.started", pid);
  Await("phase.serving", pid);
  return pid;
}

void Lineage::Signal(pid_t pid, int signal) {
  EXPECT_EQ(kill(pid, signal), 0) << "pid " << pid << "\n" << History();
}

bool Lineage::ReadEvents(absl::Duration limit) {
  pollfd polled = {fifo_.get(), POLLIN, 0};
  if (poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(limit))) != 1) return false;
  char buffer[65536];
  ssize_t size = read(fifo_.get(), buffer, sizeof(buffer));
  if (size <= 0) return false;
  partial_.append(buffer, size);
  size_t end;
  while ((end = partial_.find('\n')) != std::string::npos) {
    std::vector<std::string> words =
        absl::StrSplit(partial_.substr(0, end), absl::MaxSplits(' ', 2));
    partial_.erase(0, end + 1);
    TestEvent event{std::atoi(words[0].c_str()), words.size() > 1 ? words[1] : "",
                    words.size() > 2 ? words[2] : ""};
    if (event.name == "test.started") living_.insert(event.pid);
    events_.push_back(std::move(event));
    awaited_.push_back(false);
  }
  return true;
}

TestEvent Lineage::Await(const std::string& name, pid_t pid, absl::Duration limit) {
  const Instant deadline = MonotonicNow() + limit;
  for (size_t i = 0;;) {
    for (; i < events_.size(); ++i) {
      if (awaited_[i] || events_[i].name != name || (pid != 0 && events_[i].pid != pid)) continue;
      awaited_[i] = true;
      return events_[i];
    }
    const absl::Duration left = deadline - MonotonicNow();
    if (left > absl::ZeroDuration()) {
      ReadEvents(left);
      continue;
    }
    ADD_FAILURE() << "no event " << name << " of pid " << pid << " within " << limit << "\n"
                  << History();
    return {};
  }
}

bool Lineage::AwaitUnlessEnded(const std::string& name, pid_t pid, absl::Duration limit) {
  const Instant deadline = MonotonicNow() + limit;
  while (MonotonicNow() < deadline) {
    const bool ended = !Alive(pid);
    if (Saw(name, pid)) return true;
    if (ended) return false;
    ReadEvents(absl::Milliseconds(10));
  }
  ADD_FAILURE() << "pid " << pid << " neither came to " << name << " nor ended within " << limit
                << "\n"
                << History();
  return false;
}

bool Lineage::AwaitAnyOf(const std::vector<std::string>& names, pid_t not_of,
                         absl::Duration limit) {
  const Instant deadline = MonotonicNow() + limit;
  size_t next = events_.size();  // what came before does not count
  while (MonotonicNow() < deadline) {
    for (; next < events_.size(); ++next) {
      const TestEvent& event = events_[next];
      if (event.pid != not_of && std::find(names.begin(), names.end(), event.name) != names.end())
        return true;
    }
    ReadEvents(deadline - MonotonicNow());
  }
  return false;
}

bool Lineage::Saw(const std::string& name, pid_t pid) {
  while (ReadEvents(absl::ZeroDuration())) {
  }
  for (const TestEvent& event : events_) {
    if (event.name == name && (pid == 0 || event.pid == pid)) return true;
  }
  return false;
}

void Lineage::Reap() {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    ended_.emplace_back(pid, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    living_.erase(pid);
  }
}

int Lineage::AwaitExit(pid_t pid, absl::Duration limit) {
  const Instant deadline = MonotonicNow() + limit;
  for (;;) {
    Reap();
    for (const auto& [ended, status] : ended_) {
      if (ended == pid) return status;
    }
    // A child of another generation becomes ours only when that one has ended, or is collected by
    // that.
    if (kill(pid, 0) != 0 && errno == ESRCH) {
      living_.erase(pid);
      return 0;
    }
    if (MonotonicNow() > deadline) break;
    ReadEvents(absl::Milliseconds(kLookAgainMs));
    poll(nullptr, 0, kLookAgainMs);
  }
  ADD_FAILURE() << "pid " << pid << " did not end within " << limit << "\n" << History();
  return 256;
}

bool Lineage::Alive(pid_t pid) const { return IsLiving(pid); }

void Lineage::AwaitStopped(pid_t pid) {
  const Instant deadline = MonotonicNow() + kLong;
  while (MonotonicNow() < deadline) {
    if (StateOf(pid) == 'T') return;
    poll(nullptr, 0, kLookAgainMs);
  }
  ADD_FAILURE() << "pid " << pid << " was not stopped\n" << History();
}

std::string Lineage::Address(const std::string& name) {
  while (ReadEvents(absl::ZeroDuration())) {
  }
  for (auto it = events_.rbegin(); it != events_.rend(); ++it) {
    std::vector<std::string> words = absl::StrSplit(it->message, ' ');
    if (it->name == "test.listening" && words.size() == 2 && words[0] == name) return words[1];
  }
  return "";
}

int Lineage::FdsTo(pid_t pid, const std::string& path) const {
  const std::string directory = absl::StrCat("/proc/", pid, "/fd");
  int count = 0;
  std::error_code gone;  // an entry, while we look
  for (const auto& entry : std::filesystem::directory_iterator(directory, gone)) {
    if (std::filesystem::read_symlink(entry.path(), gone) == path) ++count;
  }
  return count;
}

std::string Lineage::History() const {
  std::ostringstream text;
  for (const TestEvent& event : events_)
    text << event.pid << " " << event.name << " " << event.message << "\n";
  return text.str();
}

}  // namespace zdd
