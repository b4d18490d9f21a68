#include "zdd/service/deadline_text.h"

#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

std::string InMilliseconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(1)));
}

std::string WhatDidNotHappen(Phase phase, absl::string_view peer) {
  switch (phase) {
    case Phase::kStarting:
    case Phase::kAdopting:
      return "the readiness checks of this generation did not pass";
    case Phase::kJoining:
      return absl::StrCat("predecessor ", peer, " did not hand over its listeners");
    case Phase::kPrepared:
      return absl::StrCat("predecessor ", peer, " did not let this generation accept");
    case Phase::kSpawning:
      return absl::StrCat(peer, " did not come to Service::Create()");
    case Phase::kOffering:
      return absl::StrCat(peer,
                          " did not get ready: it called no Start(), or its readiness checks "
                          "did not pass,");
    case Phase::kSharing:
      return absl::StrCat(peer, " did not accept on each of its listeners");
    case Phase::kReleasing:
    case Phase::kYielding:
      return absl::StrCat(peer, " did not take over");
    case Phase::kAborting:
      return absl::StrCat(peer, " did not end");
    case Phase::kAccepting:
    case Phase::kTaking:
    case Phase::kServing:
    case Phase::kStandby:
    case Phase::kConfirming:
    case Phase::kRecalling:
    case Phase::kStopping:
    case Phase::kDraining:
    case Phase::kLeaving:
    case Phase::kDrained:
    case Phase::kFailed:
      break;
  }
  return absl::StrCat("nothing ended the phase ", PhaseName(phase));  // it has no deadline
}

struct NamedLimit {
  absl::Duration limit;
  absl::string_view name;
};

NamedLimit LimitIn(Phase phase, const HandoffLimits& limits) {
  switch (LimitOf(phase)) {
    case Limit::kJoin:
      return {limits.join, "options.join_timeout"};
    case Limit::kHello:
      return {limits.hello, "options.hello_timeout"};
    case Limit::kReady:
      return {limits.ready, "options.ready_timeout"};
    case Limit::kSwitch:
      return {kSwitchLimit, "a fixed limit"};
    case Limit::kPeerDrain:
      return {limits.peer_drain, "options.drain gives that at most"};
    case Limit::kNever:
      break;
  }
  return {absl::InfiniteDuration(), "no limit"};
}

}  // namespace

std::string DeadlineText(Phase phase, absl::Duration lasted, const HandoffLimits& limits,
                         absl::string_view peer) {
  const NamedLimit limit = LimitIn(phase, limits);
  std::string text = absl::StrCat(WhatDidNotHappen(phase, peer), " within ",
                                  InMilliseconds(limit.limit), " (", limit.name);
  // Timers are late by so much at least; more is a process that was stopped or starved.
  if (lasted > limit.limit + kPingPeriod) {
    absl::StrAppend(&text, "; it took ", InMilliseconds(lasted));
  }
  return text + ")";
}

}  // namespace zdd
