#include "benchmarks/peers/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

int64_t PssKib(pid_t pid) {
  std::ifstream maps(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  std::string word;
  int64_t kib = 0;
  while (maps >> word) {
    if (word != "Pss:") continue;
    maps >> kib;
    break;
  }
  return kib;
}

}  // namespace

absl::StatusOr<Program> Program::Start(const std::vector<std::string>& words,
                                       const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid;
  const int error = posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("posix_spawnp ", words[0]));
  return Program(pid);
}

Program::~Program() {
  if (pid_ == 0) return;
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Program::Succeeds() {
  siginfo_t info = {};
  waitid(P_PID, pid_, &info, WEXITED | WNOWAIT);
  return info.si_code == CLD_EXITED && info.si_status == 0;
}

int64_t Program::MemoryKib() const {
  int64_t sum = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid) && getpgid(pid) == pid_) {
      sum += PssKib(pid);
    }
  }
  return sum;
}

}  // namespace zdd
