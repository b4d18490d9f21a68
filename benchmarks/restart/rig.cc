#include "benchmarks/restart/rig.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

template <typename T>
T Middle(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

absl::Status Restart(demo::Deployment* server, LoadClient* load, const std::string& version) {
  const pid_t predecessor = server->owner();
  absl::Status status = server->Install(version);
  if (!status.ok()) return status;
  load->Mark(version);
  status = server->Upgrade();
  if (!status.ok()) return status;
  if (!load->AwaitVersion(version, kPatience) || !server->AwaitOwnerAfter(predecessor, kPatience)) {
    return absl::DeadlineExceededError(
        absl::StrCat(version, " did not take over:\n", server->LogTail()));
  }
  load->MarkEnd();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<demo::Deployment> Rig::Deploy(absl::string_view name,
                                             std::vector<std::string> flags) const {
  const std::string home = absl::StrCat(directory, "/", name);
  std::error_code error;
  std::filesystem::create_directory(home, error);
  if (error) return absl::UnavailableError(absl::StrCat("mkdir ", home, ": ", error.message()));
  absl::StatusOr<demo::Deployment> deployment =
      demo::Deployment::Create({.program = server, .directory = home, .flags = std::move(flags)});
  if (!deployment.ok()) return deployment.status();
  const absl::Status started = deployment->Start("v1");
  if (!started.ok()) return Annotate(started, name);
  return deployment;
}

absl::Status RestartOften(demo::Deployment* server, LoadClient* load, const Restarts& restarts) {
  for (int i = 0; i < restarts.count; ++i) {
    const absl::Status status =
        Restart(server, load, absl::StrCat("v", restarts.first_version + i));
    if (!status.ok()) return status;
    absl::SleepFor(restarts.pause);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LoadClient>> StartLoad(const std::string& address,
                                                      std::vector<LoadGroup> groups) {
  absl::StatusOr<std::unique_ptr<LoadClient>> load =
      LoadClient::Start({.address = address, .groups = std::move(groups)});
  if (load.ok() && !(*load)->AwaitAllGroups(kPatience)) {
    return absl::DeadlineExceededError(absl::StrCat("no answer from ", address));
  }
  return load;
}

absl::Duration Median(std::vector<absl::Duration> values) { return Middle(std::move(values)); }
double Median(std::vector<double> values) { return Middle(std::move(values)); }

}  // namespace zdd
