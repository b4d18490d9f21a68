// What an operator looks up in files: the memory of a process, a pid.
//
// Threads: any. Errors: none; what is not there is 0, or empty.
#ifndef EXAMPLES_DEMO_PROCESSES_H_
#define EXAMPLES_DEMO_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace demo {

// VmRSS, or 0.
int64_t ResidentKib(pid_t pid);

// The whole of a small file, without white space at its ends; "" if there is none.
std::string ReadSmallFile(const std::string& path);

}  // namespace demo

#endif  // EXAMPLES_DEMO_PROCESSES_H_
