// Process is a program that runs as long as the object lives.
//
//   absl::StatusOr<Process> server = Process::Start({"/path/http_server_bare", "--threads=1"});
//
// Threads: one. Lifetime: the destructor kills and reaps. Errors: posix_spawn's.
#ifndef BENCHMARKS_RESTART_PROCESS_H_
#define BENCHMARKS_RESTART_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace zdd {

class Process {
 public:
  // Its output goes nowhere.
  static absl::StatusOr<Process> Start(const std::vector<std::string>& words);
  ~Process();
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Process& operator=(Process&&) = delete;

  pid_t pid() const { return pid_; }

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

// What `pid` has had of the processors.
absl::Duration CpuTime(pid_t pid);

}  // namespace zdd

#endif  // BENCHMARKS_RESTART_PROCESS_H_
