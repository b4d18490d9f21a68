#include "zdd/service/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/status.h"
#include "zdd/service/exec_error.h"
#include "zdd/service/inherited_channels.h"
#include "zdd/service/service_name.h"
#include "zdd/service/signals.h"

namespace zdd {
namespace {

constexpr int kFirstChannelFd = 3;
// Where the channels wait here for being numbered in the child: above every target, since dup2 to a
// number that is also a source would lose that source.
constexpr int kParkingFd = 100;
static_assert(kParkingFd >= kFirstChannelFd + static_cast<int>(kInheritedChannelsMax));

// They name descriptors that do not pass. LISTEN_PID alone would not do: pids are reused.
constexpr absl::string_view kListenVariables[] = {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID",
                                                  "LISTEN_PIDFDID"};

// Nohup, and the shells' background jobs.
constexpr int kIgnoredByTheStarter[] = {SIGHUP, SIGINT, SIGQUIT};

// posix_spawn's two objects, freed.
struct Plan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  Plan() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~Plan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
};

// What the child is to get, opened here: so that in the child nothing but the exec can fail.
struct Provisions {
  OwnedFd directory;            // invalid: where we are
  OwnedFd null;                 // invalid: not needed
  std::vector<int> to_silence;  // those of 0, 1, 2 that become null
  std::vector<OwnedFd> channels;
  std::vector<ChannelEntry> entries;
};

absl::Status CheckChannel(const SpawnRequest::Channel& channel) {
  absl::Status named = CheckServiceName(channel.service);
  if (!named.ok() || channel.upgrade_signal == 0) return named;
  return CheckSignal(channel.upgrade_signal);
}

absl::StatusOr<OwnedFd> Park(int fd, int targets_end) {
  OwnedFd parked(fcntl(fd, F_DUPFD_CLOEXEC, kParkingFd));
  // EINVAL: RLIMIT_NOFILE is that low.
  if (!parked.valid() && errno == EINVAL) parked = OwnedFd(fcntl(fd, F_DUPFD_CLOEXEC, targets_end));
  if (parked.valid()) return parked;
  return ErrnoStatus(errno == EINVAL ? EMFILE : errno, absl::StrCat("duplicate channel ", fd));
}

absl::Status AddChannels(const std::vector<SpawnRequest::Channel>& channels, Provisions* out) {
  if (channels.size() > kInheritedChannelsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(channels.size(), " channels, at most ", kInheritedChannelsMax));
  }
  const int targets_end = kFirstChannelFd + static_cast<int>(channels.size());
  for (const SpawnRequest::Channel& channel : channels) {
    absl::Status fit = CheckChannel(channel);
    if (!fit.ok()) return fit;
    if (absl::c_any_of(out->entries, [&](auto& e) { return e.service == channel.service; })) {
      return absl::InvalidArgumentError(absl::StrCat("service \"", channel.service, "\" twice"));
    }
    absl::StatusOr<uint64_t> cookie = ChannelCookie(channel.fd);
    if (!cookie.ok()) return cookie.status();
    absl::StatusOr<OwnedFd> parked = Park(channel.fd, targets_end);
    if (!parked.ok()) return parked.status();
    int target = kFirstChannelFd + static_cast<int>(out->channels.size());
    out->channels.push_back(*std::move(parked));
    out->entries.push_back({channel.service, target, *cookie, channel.upgrade_signal});
  }
  return absl::OkStatus();
}

// One that closes at exec is not meant for the child.
bool IsInherited(int fd) {
  int flags = fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

absl::Status OpenNull(Provisions* out, Syscalls& syscalls) {
  for (int fd = 0; fd < kFirstChannelFd; ++fd) {
    if (!IsInherited(fd)) out->to_silence.push_back(fd);
  }
  if (out->to_silence.empty()) return absl::OkStatus();
  out->null = AboveStdio(OwnedFd(syscalls.Open("/dev/null", O_RDWR | O_CLOEXEC, 0)), syscalls);
  return out->null.valid() ? absl::OkStatus() : ErrnoStatus(errno, "open /dev/null");
}

absl::Status OpenDirectory(const std::string& path, Provisions* out, Syscalls& syscalls) {
  if (path.empty()) return absl::OkStatus();
  OwnedFd fd(syscalls.Open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
  out->directory = AboveStdio(std::move(fd), syscalls);
  if (out->directory.valid() && faccessat(out->directory.get(), ".", X_OK, AT_EACCESS) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, absl::StrCat("enter working directory ", path,
                                         " (make it again, or set Options::working_directory to "
                                         "one that stays)"));
}

absl::StatusOr<Provisions> Gather(const ProcessImage& image, const SpawnRequest& request,
                                  Syscalls& syscalls) {
  Provisions provisions;
  absl::Status status = AddChannels(request.channels, &provisions);
  if (status.ok()) status = OpenNull(&provisions, syscalls);
  if (status.ok()) status = OpenDirectory(image.working_directory, &provisions, syscalls);
  if (!status.ok()) return status;
  return provisions;
}

// Returns an errno.
int AddActions(const Provisions& provisions, posix_spawn_file_actions_t* actions) {
  int error = 0;
  if (provisions.directory.valid()) {
    error = posix_spawn_file_actions_addfchdir_np(actions, provisions.directory.get());
  }
  for (int fd : provisions.to_silence) {
    if (error == 0) error = posix_spawn_file_actions_adddup2(actions, provisions.null.get(), fd);
  }
  int target = kFirstChannelFd;
  for (const OwnedFd& channel : provisions.channels) {
    if (error == 0) error = posix_spawn_file_actions_adddup2(actions, channel.get(), target++);
  }
  if (error != 0) return error;
  return posix_spawn_file_actions_addclosefrom_np(actions, target);
}

void SetSignals(const SpawnRequest& request, posix_spawnattr_t* attributes) {
  sigset_t defaults;
  sigfillset(&defaults);
  for (int signal : kIgnoredByTheStarter) {
    struct sigaction now {};
    sigaction(signal, nullptr, &now);
    if (now.sa_handler == SIG_IGN) sigdelset(&defaults, signal);
  }
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const SpawnRequest::Channel& channel : request.channels) {
    if (channel.upgrade_signal != 0) sigaddset(&blocked, channel.upgrade_signal);
  }
  posix_spawnattr_setsigdefault(attributes, &defaults);
  posix_spawnattr_setsigmask(attributes, &blocked);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

bool IsUntrue(absl::string_view variable) {
  absl::string_view name = variable.substr(0, variable.find('='));
  return name == kChannelsVariable || absl::c_linear_search(kListenVariables, name);
}

std::vector<std::string> EnvironmentFor(const ProcessImage& image,
                                        const std::vector<ChannelEntry>& entries) {
  std::vector<std::string> environment;
  absl::c_remove_copy_if(image.environment, std::back_inserter(environment), IsUntrue);
  if (!entries.empty()) {
    environment.push_back(absl::StrCat(kChannelsVariable, "=", EncodeChannels(entries)));
  }
  return environment;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

bool IsGone(const std::string& program) {
  struct stat facts;
  return program.empty() || (stat(program.c_str(), &facts) != 0 && errno == ENOENT);
}

absl::StatusOr<std::string> ProgramFor(const std::vector<std::string>& words,
                                       const ProcessImage& image, const SpawnRequest& request) {
  if (words.empty()) {
    return absl::FailedPreconditionError(
        "no command: /proc/self/cmdline told none at the start; set Options::command");
  }
  std::string program = ResolveProgram(words[0], image);
  // Not in place of another program.
  bool same = !image.argv.empty() && words[0] == image.argv[0];
  if (request.allow_deleted_program && same && IsGone(program)) return "/proc/self/exe";
  if (!program.empty()) return program;
  return absl::NotFoundError(absl::StrCat("\"", words[0], "\": not found in PATH (",
                                          image.Variable("PATH").value_or("not set"), ", from \"",
                                          image.working_directory, "\"); set Options::command"));
}

// `pid` was not waited for, so it is certainly our child still.
void KillUnwatched(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::StatusOr<Child> Watch(pid_t pid, Syscalls& syscalls) {
  OwnedFd pidfd = AboveStdio(OwnedFd(syscalls.PidfdOpen(pid, 0)), syscalls);
  if (pidfd.valid()) return Child{pid, std::move(pidfd)};
  int error = errno;
  if (error == ESRCH) {
    return absl::UnavailableError(absl::StrCat(
        "pid ", pid, " ended at once, its exit status taken by someone else in this process"));
  }
  KillUnwatched(pid);
  return ErrnoStatus(error, absl::StrCat("pidfd_open ", pid));
}

absl::StatusOr<Child> Start(const ProcessImage& image, const SpawnRequest& request,
                            Syscalls& syscalls) {
  const std::vector<std::string>& words = request.command.empty() ? image.argv : request.command;
  absl::StatusOr<std::string> program = ProgramFor(words, image, request);
  if (!program.ok()) return program.status();
  absl::StatusOr<Provisions> provisions = Gather(image, request, syscalls);
  if (!provisions.ok()) return provisions.status();
  Plan plan;
  int error = AddActions(*provisions, &plan.actions);
  if (error != 0) return ErrnoStatus(error, "posix_spawn_file_actions");
  SetSignals(request, &plan.attributes);
  std::vector<std::string> environment = EnvironmentFor(image, provisions->entries);
  // Keeps a number free, and tells whether this kernel knows pidfds, before there is a child.
  OwnedFd reserved(syscalls.PidfdOpen(getpid(), 0));
  if (!reserved.valid()) return ErrnoStatus(errno, "pidfd_open (Linux 5.3)");
  pid_t pid = 0;
  error = posix_spawn(&pid, program->c_str(), &plan.actions, &plan.attributes,
                      Pointers(words).data(), Pointers(environment).data());
  if (error != 0) return ExecError(error, *program);
  reserved.Reset();
  return Watch(pid, syscalls);
}

}  // namespace

absl::StatusOr<Child> Spawn(const ProcessImage& image, const SpawnRequest& request,
                            Syscalls& syscalls) {
  absl::StatusOr<Child> child = Start(image, request, syscalls);
  if (!child.ok()) return Annotate(child.status(), "spawn successor");
  return child;
}

}  // namespace zdd
