// Deployment is a server as an operator has it: a directory with the program, a file that says its
// version, a pid file, a log. New versions replace the program's file; then a signal to the owner
// makes it hand over.
//
//   absl::StatusOr<Deployment> server = Deployment::Create({.program = "bazel-bin/...", ...});
//   absl::Status started = server->Start("v1");
//   absl::Status installed = server->Install("v2");
//   pid_t predecessor = server->owner();
//   kill(predecessor, SIGUSR2);
//   bool committed = server->AwaitOwnerAfter(predecessor, absl::Seconds(10));
//
// Threads: one. Lifetime: leaves its processes and files to a guard (guard.h).
// Errors: what could not be done, with the file or the system call.
#ifndef EXAMPLES_DEMO_DEPLOYMENT_H_
#define EXAMPLES_DEMO_DEPLOYMENT_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace demo {

class Deployment {
 public:
  struct Options {
    std::string program;             // copied; the original is not touched
    std::string directory;           // exists, and is empty
    std::vector<std::string> flags;  // beyond those for address, version and files
  };

  static absl::StatusOr<Deployment> Create(Options options);

  const std::string& address() const { return address_; }

  // The first generation. Returns when it owns the service.
  absl::Status Start(absl::string_view version);

  // A new program in place of the old one, by rename, as package managers do. It will fail as
  // `failure` says, see the server's --fail.
  absl::Status Install(absl::string_view version, absl::string_view failure = "");

  // From the pid file, or 0.
  pid_t owner() const;
  bool AwaitOwnerAfter(pid_t predecessor, absl::Duration timeout) const;

  // Ends the service: SIGTERM to the owner, which drains. Returns when it is gone.
  absl::Status Stop();

  // Starts a handover: whoever owns the service is sent SIGUSR2.
  absl::Status Upgrade() const;

  // The process that the owner has started, once there is one.
  absl::optional<pid_t> AwaitSuccessor(absl::Duration timeout) const;

  // The next line of the log in which `part` stands, from where the last call stopped.
  absl::optional<std::string> AwaitLog(absl::string_view part, absl::Duration timeout);
  // The last lines of it, for when something went wrong.
  std::string LogTail() const;

 private:
  Deployment() = default;
  std::string File(absl::string_view name) const;
  absl::Status Replace(absl::string_view name, absl::string_view content) const;

  Options options_;
  std::string address_;
  size_t log_read_ = 0;
};

// Looks each millisecond whether `condition` holds. False: not within `timeout`.
template <typename Condition>
bool Await(absl::Duration timeout, Condition condition) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

}  // namespace demo

#endif  // EXAMPLES_DEMO_DEPLOYMENT_H_
