#include "tests/util/forked_child.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace zdd {

ForkedChild::ForkedChild(absl::FunctionRef<int()> body) : pid_(fork()) {
  if (pid_ == 0) _exit(body());
}

ForkedChild::~ForkedChild() {
  if (pid_ <= 0) return;
  Signal(SIGKILL);
  Wait();
}

void ForkedChild::Signal(int signal) { kill(pid_, signal); }

int ForkedChild::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace zdd
