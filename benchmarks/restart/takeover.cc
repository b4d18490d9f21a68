// From the signal to the first answer by the new version, beyond what the same program takes from
// exec to its first answer when it is started alone. Both are measured by turns.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/restart/probe.h"
#include "benchmarks/restart/process.h"
#include "benchmarks/restart/rig.h"
#include "zdd/base/time.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr int kRounds = 20;
constexpr double kBarMs = 10;
constexpr absl::Duration kPatience = absl::Seconds(30);

absl::StatusOr<absl::Duration> StartAlone(const Rig& rig, int round) {
  // A port of its own: nothing listens where a deployment would have been.
  absl::StatusOr<demo::Deployment> place = demo::Deployment::Create({});
  if (!place.ok()) return place.status();
  const absl::StatusOr<Address> address = Address::Parse(place->address());
  if (!address.ok()) return address.status();
  const Instant begin = MonotonicNow();
  absl::StatusOr<Process> process = Process::Start(
      {rig.server, absl::StrCat("--listen=", place->address()), "--version_label=alone",
       "--threads=1", absl::StrCat("--runtime_dir=", rig.directory, "/alone", round)});
  if (!process.ok()) return process.status();
  const absl::optional<Instant> answer = AwaitAnswer(*address, "alone", kPatience);
  if (!answer) return absl::DeadlineExceededError("a server started alone does not answer");
  return *answer - begin;
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
  for (int round = 0; round < kRounds; ++round) {
    const absl::StatusOr<absl::Duration> start = StartAlone(rig, round);
    if (!start.ok()) return start.status();
    alone.push_back(*start);
    const absl::StatusOr<absl::Duration> takeover =
        TakeOver(&*server, *address, absl::StrCat("v", round + 2));
    if (!takeover.ok()) return takeover.status();
    takeovers.push_back(*takeover);
  }
  const double alone_ms = absl::ToDoubleMilliseconds(Median(alone));
  const double takeover_ms = absl::ToDoubleMilliseconds(Median(takeovers));
  rig.bars->Note("exec to first answer, started alone", alone_ms, "ms");
  rig.bars->Note("signal to first answer of the new version", takeover_ms, "ms");
  rig.bars->AtMost("takeover beyond start-up", takeover_ms - alone_ms, kBarMs, "ms");
  return server->Stop();
}

}  // namespace zdd
