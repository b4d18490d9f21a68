#include "examples/demo/guard.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/types/optional.h"
#include "tests/util/processes.h"

namespace demo {
namespace {

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

std::string MakeDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "zdd-demo-XXXXXX";
  if (mkdtemp(name.data()) != nullptr) return name;
  perror("mkdtemp");
  exit(1);
}

int ExitCode(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Reaps all that have ended; the exit code of `child`, if it is among them.
absl::optional<int> Reap(pid_t child) {
  absl::optional<int> code;
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == child) code = ExitCode(status);
  }
  return code;
}

int AwaitEnd(pid_t child, const sigset_t& signals) {
  for (;;) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGCHLD) return 128 + signal;
    if (absl::optional<int> code = Reap(child)) return *code;
  }
}

// The killed ones' children become ours, and are found in the next round.
void KillDescendants() {
  for (std::vector<pid_t> ours; !(ours = zdd::ChildrenOf(getpid())).empty();) {
    for (pid_t pid : ours) kill(pid, SIGKILL);
    for (pid_t pid : ours) waitpid(pid, nullptr, 0);
  }
}

}  // namespace

int RunGuarded(absl::FunctionRef<int(const std::string& directory)> body) {
  const std::string directory = MakeDirectory();
  const sigset_t signals = WatchedSignals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t guard = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard) _exit(1);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    exit(body(directory));
  }
  const int code = child < 0 ? 1 : AwaitEnd(child, signals);
  KillDescendants();
  std::error_code ignored;  // what cannot be removed now will not be removable later
  std::filesystem::remove_all(directory, ignored);
  return code;
}

}  // namespace demo
