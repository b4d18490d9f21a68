#include "examples/demo/story.h"

#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "examples/demo/processes.h"
#include "tests/load/load_client.h"
#include "zdd/base/status.h"

namespace demo {
namespace {

using ::zdd::LoadClient;
using ::zdd::LoadGroup;
using ::zdd::LoadKind;
using ::zdd::ShortDuration;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kBetweenRestarts = absl::Milliseconds(250);
constexpr absl::Duration kRefresh = absl::Milliseconds(100);
constexpr absl::Duration kFrozen = absl::Milliseconds(1300);  // the server overrules after 1 s

std::vector<LoadGroup> EveryKind(bool brief) {
  const absl::Duration length = brief ? absl::Milliseconds(700) : absl::Milliseconds(1500);
  return {{.kind = LoadKind::kNew, .connections = 16, .rate = 300},
          {.kind = LoadKind::kLate, .connections = 8},
          {.kind = LoadKind::kKeepAlive, .connections = 32, .rate = 1000},
          {.kind = LoadKind::kKeepAlive, .connections = 50, .think = absl::Milliseconds(100)},
          {.kind = LoadKind::kIdle, .connections = 20},
          {.kind = LoadKind::kSlow, .connections = 8, .length = length / 2},
          {.kind = LoadKind::kUpload, .connections = 8, .length = length},
          {.kind = LoadKind::kStream, .connections = 8, .length = length},
          {.kind = LoadKind::kTunnel, .connections = 8, .length = length},
          {.kind = LoadKind::kPipelined, .connections = 8, .length = length / 4},
          {.kind = LoadKind::kSlowReader, .connections = 4, .length = length}};
}

int Connections(const std::vector<LoadGroup>& groups) {
  int connections = 0;
  for (const LoadGroup& group : groups) connections += group.connections;
  return connections;
}

// "...: [successor pid N ]REASON [phases]" of a report's line in the log.
std::string ReasonIn(absl::string_view line) {
  const size_t begin = line.find("): ", line.find("keeps serving"));
  if (begin == absl::string_view::npos) return std::string(line);
  line = line.substr(begin + 3, line.find(" [") - begin - 3);
  if (absl::ConsumePrefix(&line, "successor pid ")) line.remove_prefix(line.find(' ') + 1);
  return std::string(line);
}

class Teller {
 public:
  Teller(const StoryOptions& options, Deployment* server, Screen* screen)
      : options_(options), server_(*server), screen_(*screen) {}

  absl::StatusOr<Summary> Run() {
    for (auto act : {&Teller::Begin, &Teller::Restarts, &Teller::Limit, &Teller::BadVersions}) {
      const absl::Status status = (this->*act)();
      if (!status.ok()) return status;
    }
    return std::move(summary_);
  }

 private:
  std::string NextVersion() { return absl::StrCat("v", ++version_); }

  absl::Status StartLoad(std::vector<LoadGroup> groups) {
    absl::StatusOr<std::unique_ptr<LoadClient>> load = LoadClient::Start(
        {.address = server_.address(), .groups = std::move(groups), .timeout = absl::Seconds(10)});
    if (!load.ok()) return load.status();
    load_ = *std::move(load);
    if (load_->AwaitAllGroups(kPatience)) return absl::OkStatus();
    return absl::DeadlineExceededError(
        absl::StrCat("some clients got no answer\n", load_->Peek().ToTable()));
  }

  // Time passes, and the watcher sees it.
  void Watch(absl::Duration duration, absl::string_view doing) {
    const absl::Time end = absl::Now() + duration;
    do {
      const zdd::LoadGroupReport sum = load_->Peek().Sum();
      screen_.Progress(absl::StrFormat("%-4s %s requests, %d lost", doing,
                                       zdd::WithCommas(sum.started), sum.lost()));
      absl::SleepFor(std::clamp(end - absl::Now(), absl::ZeroDuration(), kRefresh));
    } while (absl::Now() < end);
  }

  absl::Status Begin() {
    const std::vector<LoadGroup> groups = EveryKind(options_.brief);
    screen_.Say(
        absl::StrFormat("A server is replaced %d times while %d clients use it in %d ways.\n",
                        options_.restarts, Connections(groups), groups.size()));
    const std::string version = NextVersion();
    absl::Status status = server_.Start(version);
    if (!status.ok()) return status;
    screen_.Say(
        absl::StrFormat("%-4s serves %s, pid %d", version, server_.address(), server_.owner()));
    status = StartLoad(groups);
    Watch(2 * kBetweenRestarts, version);
    summary_.steady_kib = ResidentKib(server_.owner());
    return status;
  }

  absl::Status Restarts() {
    for (int i = 0; i < options_.restarts; ++i) {
      const absl::Status status = Restart(NextVersion());
      if (!status.ok()) return status;
    }
    Watch(kBetweenRestarts, absl::StrCat("v", version_));
    summary_.during_restarts = load_->Stop();
    return absl::OkStatus();
  }

  absl::Status Restart(const std::string& version) {
    const pid_t predecessor = server_.owner();
    absl::Status status = server_.Install(version);
    if (!status.ok()) return status;
    load_->Mark(version);
    status = server_.Upgrade();
    if (!status.ok()) return status;
    const absl::optional<absl::Duration> takeover = load_->AwaitVersion(version, kPatience);
    const absl::optional<pid_t> successor = server_.AwaitSuccessor(absl::ZeroDuration());
    if (!takeover || !successor)
      return absl::DeadlineExceededError(absl::StrCat(version, " does not answer"));
    summary_.restarts.push_back(
        {version, *takeover, ResidentKib(predecessor), ResidentKib(*successor)});
    if (!server_.AwaitOwnerAfter(predecessor, kPatience)) {
      return absl::DeadlineExceededError(
          absl::StrCat(version, " answers and does not become owner"));
    }
    load_->MarkEnd();
    screen_.Say(absl::StrFormat("%-4s answers %s after the signal, pid %d", version,
                                ShortDuration(*takeover), server_.owner()));
    Watch(kBetweenRestarts, version);
    return absl::OkStatus();
  }

  // The hanging one comes last: zdd gives it up at once, but leaves it time to end by itself.
  absl::Status BadVersions() {
    absl::Status status = StartLoad(EveryKind(options_.brief));
    if (status.ok()) status = TryBadVersion("crash", "crashes at start");
    if (status.ok()) status = TryFrozenVersion();
    if (status.ok()) status = TryBadVersion("hang", "hangs at start");
    summary_.during_bad_versions = load_->Stop();
    return status;
  }

  absl::Status TryBadVersion(absl::string_view failure, absl::string_view what) {
    const std::string version = NextVersion();
    absl::Status status = server_.Install(version, failure);
    const absl::Time begin = absl::Now();
    if (status.ok()) status = server_.Upgrade();
    return status.ok() ? AwaitGivenUp(version, what, begin) : status;
  }

  // A version that stops in the midst of serving: the old one helps, then decides. When it thaws it
  // finishes what it had begun, and goes.
  absl::Status TryFrozenVersion() {
    const std::string version = NextVersion();
    absl::Status status = server_.Install(version);
    const absl::Time begin = absl::Now();
    if (status.ok()) status = server_.Upgrade();
    if (!status.ok()) return status;
    const bool answers = load_->AwaitVersion(version, kPatience).has_value();
    const absl::optional<pid_t> successor = server_.AwaitSuccessor(absl::ZeroDuration());
    if (!answers || !successor)
      return absl::DeadlineExceededError(absl::StrCat(version, " does not answer"));
    kill(*successor, SIGSTOP);
    Watch(kFrozen, version);
    kill(*successor, SIGCONT);
    return AwaitGivenUp(version, "freezes while serving", begin);
  }

  absl::Status AwaitGivenUp(const std::string& version, absl::string_view what, absl::Time begin) {
    const absl::optional<std::string> line = server_.AwaitLog("keeps serving", kPatience);
    if (!line) return absl::DeadlineExceededError(absl::StrCat(version, " was not given up"));
    summary_.bad_versions.push_back({version, ReasonIn(*line), absl::Now() - begin});
    const BadVersion& bad = summary_.bad_versions.back();
    screen_.Say(absl::StrFormat("%-4s %-21s  given up after %7s: %s", version, what,
                                ShortDuration(bad.lasted), bad.reason));
    Watch(kBetweenRestarts, version);
    return absl::OkStatus();
  }

  // What it accepted dies with a process. Counted apart.
  absl::Status Limit() {
    absl::Status status = StartLoad(
        {{.kind = LoadKind::kNew, .connections = 16, .rate = 300},
         {.kind = LoadKind::kKeepAlive, .connections = 50, .think = absl::Milliseconds(100)}});
    if (status.ok()) status = TryBadVersion("crash_after_ready", "crashes while serving");
    summary_.limit = load_->Stop();
    return status;
  }

  const StoryOptions& options_;
  Deployment& server_;
  Screen& screen_;
  int version_ = 0;
  std::unique_ptr<LoadClient> load_;
  Summary summary_;
};

}  // namespace

absl::StatusOr<Summary> Tell(const StoryOptions& options, Deployment* server, Screen* screen) {
  return Teller(options, server, screen).Run();
}

}  // namespace demo
