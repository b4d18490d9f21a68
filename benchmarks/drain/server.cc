#include "benchmarks/drain/server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr int kLookMs = 100;  // whether the reader is to end

}  // namespace

absl::StatusOr<std::unique_ptr<MovingServer>> MovingServer::Start(
    const std::vector<std::string>& words, const std::string& runtime_dir) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe2");
  OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  setenv("ZDD_RUNTIME_DIR", runtime_dir.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, writer.get(), STDERR_FILENO);
  pid_t pid;
  const int error = posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("posix_spawn ", words[0]));
  writer.Reset();
  std::unique_ptr<MovingServer> server(new MovingServer(std::move(reader), pid));
  absl::Status serving = server->Await("generation 1 is serving").status();
  if (!serving.ok()) return serving;
  return server;
}

MovingServer::MovingServer(OwnedFd log, pid_t owner) : log_(std::move(log)), owner_(owner) {
  reader_ = std::thread([this] { ReadLog(); });
}

MovingServer::~MovingServer() {
  kill(owner_, SIGKILL);
  stopped_ = true;
  reader_.join();
}

void MovingServer::ReadLog() {
  std::string partial;
  char buffer[4096];
  while (!stopped_) {
    pollfd polled = {log_.get(), POLLIN, 0};
    if (poll(&polled, 1, kLookMs) <= 0) continue;
    const ssize_t size = read(log_.get(), buffer, sizeof(buffer));
    if (size <= 0) return;
    const Instant now = MonotonicNow();
    partial.append(buffer, static_cast<size_t>(size));
    MutexLock lock(&mutex_);
    for (size_t end; (end = partial.find('\n')) != std::string::npos; partial.erase(0, end + 1))
      lines_.emplace_back(now, partial.substr(0, end));
    changed_.SignalAll();
  }
}

absl::StatusOr<Instant> MovingServer::Await(const std::string& text) {
  const Instant deadline = MonotonicNow() + kPatience;
  MutexLock lock(&mutex_);
  for (;;) {
    for (const auto& [at, line] : lines_) {
      if (absl::StrContains(line, text)) return at;
    }
    const Instant now = MonotonicNow();
    if (now < deadline) {
      changed_.WaitFor(&mutex_, deadline - now);
      continue;
    }
    std::string log;
    for (const auto& [at, line] : lines_) absl::StrAppend(&log, "\n", line);
    return absl::DeadlineExceededError(absl::StrCat("no line \"", text, "\" in the log:", log));
  }
}

absl::StatusOr<pid_t> MovingServer::PidAfter(const std::string& text) {
  absl::Status told = Await(text).status();
  if (!told.ok()) return told;
  MutexLock lock(&mutex_);
  for (const auto& [at, line] : lines_) {
    const size_t found = line.find(text);
    if (found != std::string::npos) return std::atoi(line.c_str() + found + text.size());
  }
  return absl::InternalError("the log has lost a line");
}

absl::Status MovingServer::Upgrade() {
  if (kill(owner_, SIGUSR2) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("kill ", owner_));
}

absl::StatusOr<MovingServer::Move> MovingServer::AwaitMove() {
  const OwnedFd predecessor(static_cast<int>(syscall(SYS_pidfd_open, owner_, 0)));
  const std::string next = absl::StrCat("generation ", generation_ + 1);
  absl::StatusOr<Instant> commit = Await(next + " is serving");
  if (!commit.ok()) return commit.status();
  absl::StatusOr<Instant> drained = Await(absl::StrCat("generation ", generation_, " is drained"));
  if (!drained.ok()) return drained.status();
  pollfd polled = {predecessor.get(), POLLIN, 0};
  if (poll(&polled, 1, 30000) != 1) return absl::DeadlineExceededError("the owner does not end");
  const Instant gone = MonotonicNow();
  waitpid(owner_, nullptr, WNOHANG);
  const absl::StatusOr<pid_t> successor = PidAfter("handed over to " + next + " (pid ");
  if (!successor.ok()) return successor.status();
  owner_ = *successor;
  ++generation_;
  return Move{*commit, *drained, gone};
}

}  // namespace zdd
