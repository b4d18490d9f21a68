// ForkedChild is a forked process that runs one function of the test and ends with what it returns.
//
//   ForkedChild child([&] { return Receive(channel) ? 0 : 1; });
//   EXPECT_EQ(child.Wait(), 0);
//
// Threads: fork() copies only the calling thread, so a test that uses it has no other.
// Lifetime: killed and reaped at the end of its scope.
#ifndef TESTS_UTIL_FORKED_CHILD_H_
#define TESTS_UTIL_FORKED_CHILD_H_

#include <sys/types.h>

#include "absl/functional/function_ref.h"

namespace zdd {

class ForkedChild {
 public:
  explicit ForkedChild(absl::FunctionRef<int()> body);
  ~ForkedChild();
  ForkedChild(const ForkedChild&) = delete;
  ForkedChild& operator=(const ForkedChild&) = delete;

  pid_t pid() const { return pid_; }

  // Sends a signal: SIGSTOP, SIGKILL.
  void Signal(int signal);

  // Waits for its end: the exit status, or minus the signal that killed it. REQUIRES: once.
  int Wait();

 private:
  pid_t pid_;
};

}  // namespace zdd

#endif  // TESTS_UTIL_FORKED_CHILD_H_
