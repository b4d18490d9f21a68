// What /proc tells of the processes on this machine.
//
//   for (pid_t child : ChildrenOf(getpid())) kill(child, SIGKILL);
//
// Threads: any. Errors: none; of a process that is gone there is nothing to tell.
#ifndef TESTS_UTIL_PROCESSES_H_
#define TESTS_UTIL_PROCESSES_H_

#include <sys/types.h>

#include <vector>

namespace zdd {

// As proc(5) has it: 'R', 'S', 'T' (stopped), 'Z' ...; 0 if there is no such process.
char StateOf(pid_t pid);

// Whether it is there, and no zombie.
bool IsLiving(pid_t pid);

// The children of `pid`, zombies included.
std::vector<pid_t> ChildrenOf(pid_t pid);

}  // namespace zdd

#endif  // TESTS_UTIL_PROCESSES_H_
