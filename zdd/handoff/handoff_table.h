// The handoff protocol as one table: what a generation does in each phase when something happens.
// The machine obeys it, the report and the log take their names from it, the diagram in the docs
// and the matrix of kills in the tests are generated from it.
//
//   for (const Row& row : HandoffTable()) Print(PhaseName(row.from), EventName(row.on),
//   PhaseName(row.to));
//
// A generation begins in kStarting (the first one) or kJoining (a successor), serves, hands over to
// a successor of its own, and ends in kDrained or kFailed. P below is the predecessor, S the
// successor.
//
// Threads: constant data.
#ifndef ZDD_HANDOFF_HANDOFF_TABLE_H_
#define ZDD_HANDOFF_HANDOFF_TABLE_H_

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace zdd {

enum class Phase : uint8_t {
  kStarting,    // first generation: readiness checks run, nobody else serves
  kJoining,     // S: Hello is sent, the listeners come
  kAdopting,    // S holds every listener; readiness checks run
  kPrepared,    // S has told what it claims, and waits for `accept`
  kAccepting,   // S accepts beside P, then alone
  kTaking,      // S reads the token
  kServing,     // the owner; no handoff
  kSpawning,    // P has started S, which has not spoken yet
  kOffering,    // P sends the listeners and waits until S is prepared
  kSharing,     // both accept
  kStandby,     // P accepts only what S did not claim, and watches
  kReleasing,   // P has allowed S to take over
  kConfirming,  // P heard that S serves, and reads the token to see that it does
  kRecalling,   // P accepts again, and reads the token to take everything back
  kAborting,    // P has it: S was told, and finishes what it has in hand
  kYielding,    // P found the token gone: S has decided; P helps until it hears so
  kStopping,    // lame duck: still accepting, while readiness says no
  kDraining,    // no more work enters
  kLeaving,     // S was aborted or failed: what it has in hand is finished
  kDrained,     // end of a generation that did what it was asked
  kFailed,      // end of one that did not
};
inline constexpr int kPhaseCount = 21;

enum class Event : uint8_t {
  // Frames of the peer. One that its phase does not expect counts as kGarbage.
  kHelloFrame,
  kOfferFrame,  // the last one: the listeners are complete
  kPreparedFrame,
  kAcceptFrame,
  kAcceptingFrame,
  kReleaseFrame,
  kServingFrame,
  kAbortFrame,
  kFailFrame,
  kRefusedFrame,
  kGarbage,  // malformed, truncated, or out of order
  // An upgrade that the predecessor was asked for and could not begin: told before kReleaseFrame if
  // that carries it, or sent by an elder. Never garbage.
  kWishFrame,
  // The peer, seen from outside.
  kPeerDead,     // its pidfd is readable, and everything it sent has been read
  kSilent,       // nothing heard for 300 ms: help
  kAnswered,     // heard again
  kSilenceOver,  // nothing heard for options.silence: decide
  kStuck,        // it answers, but a queue does not shrink: help until this handoff ends
  kSpawnFailed,
  // The token.
  kTokenTaken,   // read it, and got it
  kTokenGone,    // found it empty
  kTokenStolen,  // the same, before S could have had a right to it
  // The embedder.
  kReady,     // all checks pass
  kNotReady,  // a check failed, or S asks to be rolled back
  kUpgrade,
  kStop,
  kRollBack,
  // Time and work.
  kDeadline,  // of the phase
  kSoakOver,  // standby has lasted long enough, or Release() was called
  kLameDuckOver,
  kAllGone,  // the drain has ended and every acceptor has stopped
};
inline constexpr int kEventCount = 30;

enum class Effect : uint8_t {
  kNone,
  kSpawn,
  kKillPeer,
  kSendOffer,  // Welcome, the token, the listeners
  kSendPrepared,
  kSendAccept,
  kSendAccepting,
  kSendRelease,  // with the wish, if there is one
  kSendServing,
  kSendAbort,
  kSendFail,
  kSendWish,
  kTakeToken,         // answered at once by kTokenTaken or kTokenGone
  kAdoptPeerSockets,  // sockets that S bound for names that P serves too
  kBecomeOwner,       // control socket, pid file, what is exclusive
  kCloseUnclaimed,    // S: inherited listeners that this version does not use
  kCloseListeners,    // after what is queued on unclaimed ones was accepted
  kUnlinkSockets,
  kBeginDrain,
  kHurryDrain,
  kReportPromoted,
  kReportFailed,
  kKeepElder,   // the predecessor's channel is no longer the machine's: only a wish, or its end,
                // comes from there
  kForgetPeer,  // channel, pidfd, token, sockets that only the peer served
  kEnd,
};

// Which sockets this generation accepts from.
enum class Accepts : uint8_t { kNone, kUnclaimed, kAll };

struct Row {
  Phase from;
  Event on;
  Phase to;
  std::array<Effect, 4> effects;  // in order; kNone fills up
};

// Which phases may last how long, and what kDeadline is measured by.
enum class Limit : uint8_t { kNever, kJoin, kHello, kReady, kSwitch, kPeerDrain };
Limit LimitOf(Phase phase);

absl::Span<const Row> HandoffTable();
absl::string_view PhaseName(Phase phase);     // "standby"
absl::string_view EventName(Event event);     // "prepared_frame"
absl::string_view EffectName(Effect effect);  // "send_abort"
bool IsFrame(Event event);

}  // namespace zdd

#endif  // ZDD_HANDOFF_HANDOFF_TABLE_H_
