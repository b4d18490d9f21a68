#include "examples/demo/deployment.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "examples/demo/processes.h"
#include "tests/util/free_address.h"
#include "tests/util/processes.h"
#include "zdd/base/status.h"

namespace demo {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr absl::Duration kStopTimeout = absl::Seconds(20);
constexpr int kTailLines = 30;

// In a process group of its own: Ctrl-C is for the demo, not for the server.
absl::Status Spawn(const std::vector<std::string>& words, const std::string& log) {
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
  const int error = posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error == 0 ? absl::OkStatus()
                    : zdd::ErrnoStatus(error, absl::StrCat("posix_spawn ", words[0]));
}

}  // namespace

absl::StatusOr<Deployment> Deployment::Create(Options options) {
  const absl::StatusOr<std::string> address = zdd::FreeAddress();
  if (!address.ok()) return address.status();
  Deployment deployment;
  deployment.options_ = std::move(options);
  deployment.address_ = *address;
  return deployment;
}

absl::Status Deployment::Start(absl::string_view version) {
  const absl::Status installed = Install(version);
  if (!installed.ok()) return installed;
  std::vector<std::string> words = {File("server"),
                                    absl::StrCat("--listen=", address_),
                                    absl::StrCat("--version_file=", File("version")),
                                    absl::StrCat("--fail_file=", File("failure")),
                                    absl::StrCat("--pid_file=", File("pid")),
                                    absl::StrCat("--runtime_dir=", File("run"))};
  words.insert(words.end(), options_.flags.begin(), options_.flags.end());
  const absl::Status spawned = Spawn(words, File("log"));
  if (!spawned.ok()) return spawned;
  if (AwaitOwnerAfter(0, kStartTimeout)) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("start ", words[0], ": no pid file after ",
                                                  absl::FormatDuration(kStartTimeout)));
}

absl::Status Deployment::Install(absl::string_view version, absl::string_view failure) {
  std::error_code error;
  std::filesystem::copy_file(options_.program, File("server.new"),
                             std::filesystem::copy_options::overwrite_existing, error);
  if (!error) std::filesystem::rename(File("server.new"), File("server"), error);
  if (error)
    return absl::UnavailableError(absl::StrCat("install ", File("server"), ": ", error.message()));
  absl::Status written = Replace("version", version);
  if (written.ok()) written = Replace("failure", failure);
  return written;
}

absl::Status Deployment::Replace(absl::string_view name, absl::string_view content) const {
  const std::string fresh = File(absl::StrCat(name, ".new"));
  {
    std::ofstream file(fresh);
    file << content;
  }
  std::error_code error;
  std::filesystem::rename(fresh, File(name), error);
  if (error) return absl::UnavailableError(absl::StrCat("rename ", fresh, ": ", error.message()));
  return absl::OkStatus();
}

pid_t Deployment::owner() const {
  pid_t pid = 0;
  return absl::SimpleAtoi(ReadSmallFile(File("pid")), &pid) ? pid : 0;
}

bool Deployment::AwaitOwnerAfter(pid_t predecessor, absl::Duration timeout) const {
  return Await(timeout, [&] {
    const pid_t pid = owner();
    return pid != 0 && pid != predecessor;
  });
}

absl::Status Deployment::Upgrade() const {
  const pid_t pid = owner();
  if (pid <= 0) return absl::FailedPreconditionError("upgrade: the pid file is empty");
  if (kill(pid, SIGUSR2) == 0) return absl::OkStatus();
  return zdd::ErrnoStatus(errno, absl::StrCat("kill -USR2 ", pid));
}

absl::Status Deployment::Stop() {
  const pid_t pid = owner();
  if (pid <= 0 || kill(pid, SIGTERM) != 0) return absl::FailedPreconditionError("stop: no owner");
  if (Await(kStopTimeout, [&] { return owner() == 0; })) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("stop: pid ", pid, " is still there after ",
                                                  absl::FormatDuration(kStopTimeout)));
}

absl::optional<pid_t> Deployment::AwaitSuccessor(absl::Duration timeout) const {
  std::vector<pid_t> children;
  Await(timeout, [&] { return !(children = zdd::ChildrenOf(owner())).empty(); });
  if (children.empty()) return absl::nullopt;
  return children.back();
}

absl::optional<std::string> Deployment::AwaitLog(absl::string_view part, absl::Duration timeout) {
  absl::optional<std::string> found;
  Await(timeout, [&] {
    const std::string log = ReadSmallFile(File("log")) + "\n";
    for (size_t end; (end = log.find('\n', log_read_)) != std::string::npos && !found;) {
      std::string line = log.substr(log_read_, end - log_read_);
      log_read_ = end + 1;
      if (absl::StrContains(line, part)) found = std::move(line);
    }
    return found.has_value();
  });
  return found;
}

std::string Deployment::LogTail() const {
  std::vector<std::string> lines = absl::StrSplit(ReadSmallFile(File("log")), '\n');
  if (lines.size() > kTailLines) lines.erase(lines.begin(), lines.end() - kTailLines);
  return absl::StrJoin(lines, "\n");
}

std::string Deployment::File(absl::string_view name) const {
  return absl::StrCat(options_.directory, "/", name);
}

}  // namespace demo
