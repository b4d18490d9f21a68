#include "tests/load/load_client.h"

#include <sys/resource.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr int kThreadsMax = 16;
constexpr int kSpareFds = 64;
constexpr absl::Duration kLookAgain = absl::Milliseconds(5);

absl::Status CheckGroup(const LoadGroup& group) {
  if (group.connections < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("connections ", group.connections, ": at least 1"));
  }
  if (group.rate < 0)
    return absl::InvalidArgumentError(absl::StrCat("rate ", group.rate, ": 0 or more a second"));
  if (group.rate > 0 && group.think > absl::ZeroDuration()) {
    return absl::InvalidArgumentError("rate and think: one of them");
  }
  for (absl::Duration duration : {group.think, group.length, group.delay}) {
    if (duration < absl::ZeroDuration() || duration > absl::Hours(1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("duration ", absl::FormatDuration(duration), ": from 0 to 1h"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFds(const LoadOptions& options) {
  int64_t needed = kSpareFds;
  for (const LoadGroup& group : options.groups) needed += group.connections;
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= static_cast<rlim_t>(needed)) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("connections: ", needed,
                                                   " descriptors needed, the limit is ",
                                                   limit.rlim_cur, " (ulimit -n)"));
}

absl::Status Check(const LoadOptions& options) {
  if (options.groups.empty()) return absl::InvalidArgumentError("groups: at least one");
  if (options.threads < 1 || options.threads > kThreadsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads ", options.threads, ": from 1 to ", kThreadsMax));
  }
  for (const LoadGroup& group : options.groups) {
    absl::Status status = CheckGroup(group);
    if (!status.ok())
      return Annotate(status, absl::StrCat("group \"", LoadGroupReport(group).name, "\""));
  }
  return CheckFds(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LoadClient>> LoadClient::Start(LoadOptions options) {
  absl::Status status = Check(options);
  if (!status.ok()) return Annotate(status, "load client");
  absl::StatusOr<Address> server = Address::Parse(options.address);
  if (!server.ok()) return Annotate(server.status(), "load client");
  std::unique_ptr<LoadClient> client(new LoadClient(std::move(options), *server));
  status = client->AddWorkers();
  if (!status.ok()) return Annotate(status, "load client");
  for (const auto& worker : client->workers_) worker->Run();
  return client;
}

LoadClient::LoadClient(LoadOptions options, const Address& server)
    : options_(std::move(options)), server_(server), timeline_(options_.window) {}

absl::Status LoadClient::AddWorkers() {
  for (int i = 0; i < options_.threads; ++i) {
    absl::StatusOr<std::unique_ptr<Worker>> worker = Worker::Create(options_, &server_, &timeline_);
    if (!worker.ok()) return worker.status();
    workers_.push_back(*std::move(worker));
  }
  size_t next = 0;
  for (size_t group = 0; group < options_.groups.size(); ++group) {
    for (int number = 0; number < options_.groups[group].connections; ++number) {
      workers_[next++ % workers_.size()]->Add(static_cast<int>(group), number);
    }
  }
  return absl::OkStatus();
}

void LoadClient::MarkEnd() {
  timeline_.MarkEnd(MonotonicNow());
  for (const auto& worker : workers_) worker->RestartOver();
}

bool LoadClient::AwaitAllGroups(absl::Duration timeout) const {
  const Instant deadline = MonotonicNow() + timeout;
  for (;;) {
    const LoadReport report = Peek();
    const bool all =
        std::all_of(report.groups.begin(), report.groups.end(),
                    [](const LoadGroupReport& group) { return group.count(LoadOutcome::kOk) > 0; });
    if (all || MonotonicNow() >= deadline) return all;
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(kLookAgain));
  }
}

LoadReport LoadClient::Peek() const {
  LoadReport report;
  for (const LoadGroup& group : options_.groups) report.groups.emplace_back(group);
  for (const auto& worker : workers_) worker->AddTo(&report);
  std::sort(report.versions.begin(), report.versions.end(),
            [](const LoadVersion& a, const LoadVersion& b) { return a.first < b.first; });
  report.losses.resize(std::min(report.losses.size(), Recorder::kLossesToldMax));
  report.marks = timeline_.marks();
  report.elapsed = MonotonicNow() - start_;
  return report;
}

LoadReport LoadClient::Stop() {
  MutexLock lock(&stop_mutex_);
  for (const auto& worker : workers_) worker->Stop();
  for (const auto& worker : workers_) worker->Join();
  if (!stopped_) stopped_ = MonotonicNow();
  LoadReport report = Peek();
  report.elapsed = *stopped_ - start_;
  return report;
}

}  // namespace zdd
