// From the signal to the first answer by the new version, beyond what the same program takes from
// exec to its first answer when it is started alone. Both are measured by turns.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/restart/lone_server.h"
#include "benchmarks/restart/rig.h"
#include "benchmarks/util/probe.h"
#include "zdd/base/time.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr int kRounds = 20;
constexpr double kBarMs = 10;
constexpr absl::Duration kPatience = absl::Seconds(30);

absl::StatusOr<absl::Duration> StartAlone(const Rig& rig) {
  const Instant begin = MonotonicNow();
  const absl::StatusOr<LoneServer> server = LoneServer::Start(rig);
  if (!server.ok()) return server.status();
  const absl::Status answers = server->AwaitAnswer();
  if (!answers.ok()) return answers;
  return MonotonicNow() - begin;
}

absl::StatusOr<absl::Duration> TakeOver(demo::Deployment* server, const Address& address,
                                        const std::string& version) {
  const pid_t predecessor = server->owner();
  absl::Status status = server->Install(version);
  if (!status.ok()) return status;
  const Instant begin = MonotonicNow();
  status = server->Upgrade();
  if (!status.ok()) return status;
  const absl::optional<Instant> answer = AwaitAnswer(address, version, kPatience);
  if (!answer || !server->AwaitOwnerAfter(predecessor, kPatience)) {
    return absl::DeadlineExceededError(absl::StrCat("no takeover:\n", server->LogTail()));
  }
  return *answer - begin;
}

}  // namespace

absl::Status MeasureTakeover(const Rig& rig) {
  absl::StatusOr<demo::Deployment> server =
      rig.Deploy("takeover", {"--threads=1", "--standby=50ms", "--spread=10ms", "--grace=50ms"});
  if (!server.ok()) return server.status();
  const absl::StatusOr<Address> address = Address::Parse(server->address());
  if (!address.ok()) return address.status();
  std::vector<absl::Duration> alone;
  std::vector<absl::Duration> takeovers;
  std::vector<absl::Duration> beyond;
  for (int round = 0; round < kRounds; ++round) {
    const absl::StatusOr<absl::Duration> start = StartAlone(rig);
    if (!start.ok()) return start.status();
    const absl::StatusOr<absl::Duration> takeover =
        TakeOver(&*server, *address, absl::StrCat("v", round + 2));
    if (!takeover.ok()) return takeover.status();
    alone.push_back(*start);
    takeovers.push_back(*takeover);
    beyond.push_back(*takeover - *start);
  }
  const auto ms = [](std::vector<absl::Duration> durations) {
    return absl::ToDoubleMilliseconds(Median(std::move(durations)));
  };
  rig.bars->Note("exec to first answer, started alone", ms(alone), "ms");
  rig.bars->Note("signal to first answer of the new version", ms(takeovers), "ms");
  rig.bars->AtMost("takeover beyond start-up", ms(beyond), kBarMs, "ms");
  return server->Stop();
}

}  // namespace zdd
