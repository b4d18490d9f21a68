// Program is a running program and all that it has started, which is one process group.
//
//   absl::StatusOr<Program> nginx = Program::Start({"/usr/sbin/nginx", ...}, directory + "/log");
//   pid_t pid = nginx->pid();
//
// Threads: one. Lifetime: the destructor kills the whole group. Errors: posix_spawnp's.
#ifndef BENCHMARKS_PEERS_PROGRAM_H_
#define BENCHMARKS_PEERS_PROGRAM_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace zdd {

class Program {
 public:
  // What it says goes to the end of the file `log`.
  static absl::StatusOr<Program> Start(const std::vector<std::string>& words,
                                       const std::string& log);
  ~Program();
  Program(Program&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Program& operator=(Program&&) = delete;

  // Of the first process, and of the group: it is not reaped as long as the object lives.
  pid_t pid() const { return pid_; }

  // Until it has ended; whether with exit code 0.
  bool Succeeds();

  // What all of its processes take: pages that several share count once (Pss in proc(5)).
  int64_t MemoryKib() const;

 private:
  explicit Program(pid_t pid) : pid_(pid) {}
  pid_t pid_;  // 0: none
};

}  // namespace zdd

#endif  // BENCHMARKS_PEERS_PROGRAM_H_
