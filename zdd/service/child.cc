#include "zdd/service/child.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

// glibc has the name from 2.36 on.
constexpr idtype_t kByPidfd = static_cast<idtype_t>(3);

bool IsDead(const Child& child) {
  pollfd entry = {child.pidfd.get(), POLLIN, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

}  // namespace

std::string ToString(const ExitInfo& exit) {
  switch (exit.kind) {
    case ExitInfo::kExited:
      return absl::StrCat("exited with code ", exit.code);
    case ExitInfo::kKilled: {
      const char* name = sigdescr_np(exit.code);
      return absl::StrCat("killed by signal ", exit.code, " (",
                          name == nullptr ? "real-time signal" : name, ")",
                          exit.core_dumped ? ", core dumped" : "");
    }
    case ExitInfo::kTaken:
      return "ended, its exit status taken by someone else";
  }
  return "";
}

absl::optional<ExitInfo> Reap(const Child& child) {
  siginfo_t info{};
  int answer;
  do {
    answer = waitid(kByPidfd, child.pidfd.get(), &info, WEXITED | WNOHANG);
  } while (answer != 0 && errno == EINTR);
  if (answer != 0) {
    // ECHILD: reaped already, or never a child of ours; the latter may well be alive.
    if (IsDead(child)) return ExitInfo{};
    return absl::nullopt;
  }
  if (info.si_pid == 0) return absl::nullopt;
  bool exited = info.si_code == CLD_EXITED;
  return ExitInfo{exited ? ExitInfo::kExited : ExitInfo::kKilled, info.si_status,
                  info.si_code == CLD_DUMPED};
}

absl::Status SendSignal(int pidfd, pid_t pid, int signal) {
  // glibc has a wrapper from 2.36 on.
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0 || errno == ESRCH) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, absl::StrCat("pidfd_send_signal ", signal, " to pid ", pid));
}

}  // namespace zdd
