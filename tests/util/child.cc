#include "tests/util/child.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace zdd {

Child::Child(absl::FunctionRef<int()> body) : pid_(fork()) {
  if (pid_ == 0) _exit(body());
}

Child::~Child() {
  if (pid_ <= 0) return;
  Signal(SIGKILL);
  Wait();
}

void Child::Signal(int signal) { kill(pid_, signal); }

int Child::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace zdd
