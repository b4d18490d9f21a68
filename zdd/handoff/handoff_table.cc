#include "zdd/handoff/handoff_table.h"

namespace zdd {
namespace {

using P = Phase;
using E = Event;
using F = Effect;

// An event without a row in a phase changes nothing there, but for a frame: that is kGarbage.
constexpr Row kTable[] = {
    // First generation.
    {P::kStarting, E::kReady, P::kServing, {F::kBecomeOwner}},
    {P::kStarting, E::kNotReady, P::kFailed, {F::kUnlinkSockets, F::kCloseListeners, F::kEnd}},
    {P::kStarting, E::kStop, P::kFailed, {F::kUnlinkSockets, F::kCloseListeners, F::kEnd}},
    {P::kStarting, E::kDeadline, P::kFailed, {F::kUnlinkSockets, F::kCloseListeners, F::kEnd}},

    // Successor.
    {P::kJoining, E::kOfferFrame, P::kAdopting, {}},
    {P::kJoining, E::kRefusedFrame, P::kFailed, {F::kEnd}},
    {P::kJoining, E::kGarbage, P::kFailed, {F::kEnd}},
    {P::kJoining, E::kAbortFrame, P::kFailed, {F::kEnd}},
    {P::kJoining, E::kPeerDead, P::kFailed, {F::kEnd}},
    {P::kJoining, E::kStop, P::kFailed, {F::kEnd}},
    {P::kJoining, E::kDeadline, P::kFailed, {F::kEnd}},

    {P::kAdopting, E::kReady, P::kPrepared, {F::kCloseUnclaimed, F::kSendPrepared}},
    {P::kAdopting, E::kNotReady, P::kLeaving, {F::kSendFail, F::kCloseListeners, F::kBeginDrain}},
    {P::kAdopting, E::kStop, P::kLeaving, {F::kSendFail, F::kCloseListeners, F::kBeginDrain}},
    {P::kAdopting, E::kDeadline, P::kLeaving, {F::kSendFail, F::kCloseListeners, F::kBeginDrain}},
    {P::kAdopting, E::kGarbage, P::kLeaving, {F::kSendFail, F::kCloseListeners, F::kBeginDrain}},
    {P::kAdopting, E::kAbortFrame, P::kLeaving, {F::kCloseListeners, F::kBeginDrain}},

    {P::kPrepared, E::kAcceptFrame, P::kAccepting, {F::kSendAccepting}},
    {P::kPrepared, E::kAbortFrame, P::kLeaving, {F::kCloseListeners, F::kBeginDrain}},
    {P::kPrepared, E::kPeerDead, P::kTaking, {}},
    {P::kPrepared, E::kSilenceOver, P::kTaking, {}},
    {P::kPrepared, E::kDeadline, P::kTaking, {}},
    // S does not leave by itself once P may count on it: it asks, and waits for `abort`.
    {P::kPrepared, E::kNotReady, P::kPrepared, {F::kSendFail}},
    {P::kPrepared, E::kStop, P::kPrepared, {F::kSendFail}},
    {P::kPrepared, E::kGarbage, P::kPrepared, {F::kSendFail}},

    {P::kAccepting, E::kReleaseFrame, P::kTaking, {}},
    {P::kAccepting, E::kAbortFrame, P::kLeaving, {F::kCloseListeners, F::kBeginDrain}},
    {P::kAccepting, E::kPeerDead, P::kTaking, {}},
    {P::kAccepting, E::kSilenceOver, P::kTaking, {}},
    {P::kAccepting, E::kNotReady, P::kAccepting, {F::kSendFail}},
    {P::kAccepting, E::kStop, P::kAccepting, {F::kSendFail}},
    {P::kAccepting, E::kGarbage, P::kAccepting, {F::kSendFail}},

    {P::kTaking, E::kTokenTaken, P::kServing, {F::kSendServing, F::kBecomeOwner, F::kKeepElder}},
    {P::kTaking, E::kPeerDead, P::kServing, {F::kBecomeOwner, F::kKeepElder}},
    {P::kTaking, E::kAbortFrame, P::kLeaving, {F::kCloseListeners, F::kBeginDrain}},
    // What P sent before it took the token back.
    {P::kTaking, E::kGarbage, P::kTaking, {}},

    {P::kLeaving, E::kAllGone, P::kFailed, {F::kEnd}},
    {P::kLeaving, E::kStop, P::kLeaving, {F::kHurryDrain}},
    {P::kLeaving, E::kGarbage, P::kLeaving, {}},

    // Owner.
    {P::kServing, E::kUpgrade, P::kSpawning, {F::kSpawn}},
    {P::kServing, E::kWishFrame, P::kSpawning, {F::kSpawn}},
    {P::kServing, E::kHelloFrame, P::kOffering, {F::kSendOffer}},
    {P::kServing, E::kStop, P::kStopping, {}},

    // Predecessor.
    {P::kSpawning, E::kHelloFrame, P::kOffering, {F::kSendOffer}},
    {P::kSpawning, E::kSpawnFailed, P::kServing, {F::kReportFailed, F::kForgetPeer}},
    {P::kSpawning, E::kPeerDead, P::kServing, {F::kReportFailed, F::kForgetPeer}},
    {P::kSpawning, E::kGarbage, P::kServing, {F::kKillPeer, F::kReportFailed, F::kForgetPeer}},
    {P::kSpawning, E::kRollBack, P::kServing, {F::kKillPeer, F::kReportFailed, F::kForgetPeer}},
    {P::kSpawning, E::kStop, P::kServing, {F::kKillPeer, F::kReportFailed, F::kForgetPeer}},
    {P::kSpawning, E::kDeadline, P::kServing, {F::kKillPeer, F::kReportFailed, F::kForgetPeer}},

    {P::kOffering, E::kPreparedFrame, P::kSharing, {F::kAdoptPeerSockets, F::kSendAccept}},
    {P::kOffering, E::kFailFrame, P::kRecalling, {}},
    {P::kOffering, E::kPeerDead, P::kRecalling, {}},
    {P::kOffering, E::kGarbage, P::kRecalling, {}},
    {P::kOffering, E::kRollBack, P::kRecalling, {}},
    {P::kOffering, E::kStop, P::kRecalling, {}},
    {P::kOffering, E::kDeadline, P::kRecalling, {}},

    {P::kSharing, E::kAcceptingFrame, P::kStandby, {}},
    {P::kSharing, E::kServingFrame, P::kConfirming, {}},
    {P::kSharing, E::kFailFrame, P::kRecalling, {}},
    {P::kSharing, E::kPeerDead, P::kRecalling, {}},
    {P::kSharing, E::kGarbage, P::kRecalling, {}},
    {P::kSharing, E::kRollBack, P::kRecalling, {}},
    {P::kSharing, E::kStop, P::kRecalling, {}},
    {P::kSharing, E::kDeadline, P::kRecalling, {}},

    {P::kStandby, E::kSoakOver, P::kReleasing, {F::kSendRelease}},
    {P::kStandby, E::kServingFrame, P::kConfirming, {}},
    {P::kStandby, E::kFailFrame, P::kRecalling, {}},
    {P::kStandby, E::kPeerDead, P::kRecalling, {}},
    {P::kStandby, E::kGarbage, P::kRecalling, {}},
    {P::kStandby, E::kRollBack, P::kRecalling, {}},
    {P::kStandby, E::kStop, P::kRecalling, {}},
    {P::kStandby, E::kSilenceOver, P::kRecalling, {}},

    {P::kReleasing, E::kServingFrame, P::kConfirming, {}},
    {P::kReleasing, E::kFailFrame, P::kRecalling, {}},
    {P::kReleasing, E::kPeerDead, P::kRecalling, {}},
    {P::kReleasing, E::kGarbage, P::kRecalling, {}},
    {P::kReleasing, E::kRollBack, P::kRecalling, {}},
    {P::kReleasing, E::kStop, P::kRecalling, {}},
    {P::kReleasing, E::kSilenceOver, P::kRecalling, {}},
    {P::kReleasing, E::kDeadline, P::kRecalling, {}},

    // Frames only tell, the token decides: with the token still there, S has lied.
    {P::kConfirming,
     E::kTokenGone,
     P::kDraining,
     {F::kReportPromoted, F::kCloseListeners, F::kBeginDrain}},
    {P::kConfirming, E::kTokenTaken, P::kAborting, {F::kSendAbort, F::kReportFailed}},

    {P::kRecalling, E::kTokenTaken, P::kAborting, {F::kSendAbort, F::kReportFailed}},
    {P::kRecalling, E::kTokenGone, P::kYielding, {}},
    {P::kRecalling, E::kPeerDead, P::kServing, {F::kReportFailed, F::kForgetPeer}},

    {P::kAborting, E::kPeerDead, P::kServing, {F::kForgetPeer}},
    {P::kAborting, E::kDeadline, P::kServing, {F::kKillPeer, F::kForgetPeer}},
    // What S sent before it read `abort`, lies included.
    {P::kAborting, E::kGarbage, P::kAborting, {}},

    {P::kYielding,
     E::kServingFrame,
     P::kDraining,
     {F::kReportPromoted, F::kCloseListeners, F::kBeginDrain}},
    {P::kYielding, E::kPeerDead, P::kServing, {F::kReportFailed, F::kForgetPeer}},
    {P::kYielding, E::kTokenStolen, P::kServing, {F::kKillPeer, F::kReportFailed, F::kForgetPeer}},
    // S owns: whatever it says, nothing but its own word or death ends this.
    {P::kYielding, E::kGarbage, P::kYielding, {}},

    // The end.
    {P::kStopping,
     E::kLameDuckOver,
     P::kDraining,
     {F::kUnlinkSockets, F::kCloseListeners, F::kBeginDrain}},
    {P::kStopping,
     E::kStop,
     P::kDraining,
     {F::kUnlinkSockets, F::kCloseListeners, F::kBeginDrain, F::kHurryDrain}},
    {P::kDraining, E::kAllGone, P::kDrained, {F::kEnd}},
    {P::kDraining, E::kStop, P::kDraining, {F::kHurryDrain}},
    {P::kDraining, E::kPeerDead, P::kDraining, {F::kForgetPeer}},
    {P::kDraining, E::kGarbage, P::kDraining, {F::kForgetPeer}},
};

constexpr absl::string_view kPhaseNames[] = {
    "starting", "joining",  "adopting", "prepared", "accepting", "taking",     "serving",
    "spawning", "offering", "sharing",  "standby",  "releasing", "confirming", "recalling",
    "aborting", "yielding", "stopping", "draining", "leaving",   "drained",    "failed"};
static_assert(sizeof(kPhaseNames) / sizeof(kPhaseNames[0]) == kPhaseCount);

constexpr absl::string_view kEventNames[] = {
    "hello_frame",   "offer_frame",   "prepared_frame", "accept_frame",   "accepting_frame",
    "release_frame", "serving_frame", "abort_frame",    "fail_frame",     "refused_frame",
    "garbage",       "wish_frame",    "peer_dead",      "silent",         "answered",
    "silence_over",  "stuck",         "spawn_failed",   "token_taken",    "token_gone",
    "token_stolen",  "ready",         "not_ready",      "upgrade",        "stop",
    "roll_back",     "deadline",      "soak_over",      "lame_duck_over", "all_gone"};
static_assert(sizeof(kEventNames) / sizeof(kEventNames[0]) == kEventCount);

constexpr absl::string_view kEffectNames[] = {"none",
                                              "spawn",
                                              "kill_peer",
                                              "send_offer",
                                              "send_prepared",
                                              "send_accept",
                                              "send_accepting",
                                              "send_release",
                                              "send_serving",
                                              "send_abort",
                                              "send_fail",
                                              "send_wish",
                                              "take_token",
                                              "adopt_peer_sockets",
                                              "become_owner",
                                              "close_unclaimed",
                                              "close_listeners",
                                              "unlink_sockets",
                                              "begin_drain",
                                              "hurry_drain",
                                              "report_promoted",
                                              "report_failed",
                                              "keep_elder",
                                              "forget_peer",
                                              "end"};

}  // namespace

Limit LimitOf(Phase phase) {
  switch (phase) {
    case Phase::kJoining:
      return Limit::kJoin;
    case Phase::kSpawning:
      return Limit::kHello;
    case Phase::kStarting:
    case Phase::kAdopting:
    case Phase::kOffering:
      return Limit::kReady;
    case Phase::kPrepared:
    case Phase::kSharing:
    case Phase::kReleasing:
    case Phase::kYielding:  // counts only if S was not prepared; else a frame or a death leads out
      return Limit::kSwitch;
    case Phase::kAborting:
      return Limit::kPeerDrain;
    case Phase::kAccepting:
    case Phase::kTaking:
    case Phase::kServing:
    case Phase::kConfirming:
    case Phase::kRecalling:
    case Phase::kStandby:  // the soak timer, and silence, lead out
    case Phase::kStopping:
    case Phase::kDraining:  // the drain has its own deadline
    case Phase::kLeaving:
    case Phase::kDrained:
    case Phase::kFailed:
      return Limit::kNever;
  }
  return Limit::kNever;
}

absl::Span<const Row> HandoffTable() { return kTable; }
absl::string_view PhaseName(Phase phase) { return kPhaseNames[static_cast<int>(phase)]; }
absl::string_view EventName(Event event) { return kEventNames[static_cast<int>(event)]; }
absl::string_view EffectName(Effect effect) { return kEffectNames[static_cast<int>(effect)]; }
bool IsFrame(Event event) { return event <= Event::kRefusedFrame; }

}  // namespace zdd
