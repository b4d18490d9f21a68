// What /proc tells of other processes.
//
// Threads: any. Errors: a process that is gone has no children and no memory.
#ifndef EXAMPLES_DEMO_PROCESSES_H_
#define EXAMPLES_DEMO_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace demo {

// The children of `pid`, zombies included.
std::vector<pid_t> ChildrenOf(pid_t pid);

// VmRSS, or 0.
int64_t ResidentKib(pid_t pid);

// The whole of a small file, without white space at its ends; "" if there is none.
std::string ReadSmallFile(const std::string& path);

}  // namespace demo

#endif  // EXAMPLES_DEMO_PROCESSES_H_
