// World is one state of the model: up to three generations in a row, the channels between
// neighbours, their tokens. Packed and without padding, so that millions of them can be kept,
// hashed and compared as bytes.
//
// Threads: a value.
#ifndef ZDD_TESTS_MODEL_WORLD_H_
#define ZDD_TESTS_MODEL_WORLD_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "zdd/handoff/handoff_table.h"

namespace zdd::model {

inline constexpr int kGenerationsMax = 3;
inline constexpr uint8_t kNoEvent = 0xff;

// Frames on their way, at most eight, the first one in the lowest four bits: an Event plus one.
class Queue {
 public:
  bool empty() const { return frames_ == 0; }
  bool full() const { return frames_ >> 28 != 0; }
  bool Has(Event frame) const {
    for (uint32_t rest = frames_; rest != 0; rest >>= 4) {
      if ((rest & 15) == Code(frame)) return true;
    }
    return false;
  }
  void Push(Event frame) {
    int shift = 0;
    while (frames_ >> shift != 0) shift += 4;
    frames_ |= Code(frame) << shift;
  }
  Event Pop() {
    const Event frame = static_cast<Event>((frames_ & 15) - 1);
    frames_ >>= 4;
    return frame;
  }
  void Clear() { frames_ = 0; }

 private:
  static uint32_t Code(Event frame) { return static_cast<uint32_t>(frame) + 1; }

  uint32_t frames_ = 0;
};

enum class Life : uint8_t { kUnborn, kRunning, kStopped, kDead };

struct Process {
  uint16_t machine = 0;  // see Machines
  uint16_t todo = 0;     // effects that are not yet carried out; see Machines
  Life life = Life::kUnborn;
  uint8_t seen = kNoEvent;      // an event that was found true, and is not yet told
  uint16_t child : 1 = 0;       // of its predecessor, which may kill it
  uint16_t liar : 1 = 0;        // obeys no machine
  uint16_t spoken : 1 = 0;      // its Hello is sent
  uint16_t holds : 1 = 0;       // every listener
  uint16_t late : 1 = 0;        // its last ping is missing
  uint16_t deferred : 1 = 0;    // no acceptor is in Accept() yet, so `accepting` is not sent
  uint16_t unreported : 1 = 0;  // began a handoff and has not said what became of it
  uint16_t told_predecessor_dead : 1 = 0;
  uint16_t told_successor_dead : 1 = 0;
  uint16_t told_eof : 1 = 0;
  uint16_t accepted_before : 2 = 0;  // an Accepts, for Mutant::kEffectsBeforeAccepts
  uint16_t unused : 4 = 0;

  bool alive() const { return life == Life::kRunning || life == Life::kStopped; }
  bool running() const { return life == Life::kRunning; }
};

// Between generation i, above, and its successor i + 1, below.
struct Channel {
  Queue down;
  Queue up;
  uint16_t token_here : 1 = 1;
  uint16_t taken_above : 1 = 0;
  uint16_t taken_below : 1 = 0;
  uint16_t reads : 3 = 0;
  uint16_t closed_above : 1 = 0;
  uint16_t elder : 1 = 0;  // below has committed: only a wish counts that comes from above
  uint16_t prepared_read : 1 = 0;
  uint16_t serving_read : 1 = 0;
  uint16_t abort_sent : 1 = 0;
  uint16_t unused : 5 = 0;
  uint16_t unused_too = 0;
};

struct World {
  std::array<Process, kGenerationsMax> process;
  std::array<Channel, kGenerationsMax - 1> channel;
  uint8_t wish_owed = 0;  // an upgrade was promised
  uint8_t stop_ran = 0;
  uint8_t killed = 0;  // by a fault
  uint8_t broken = 0;  // see Breach

  friend bool operator==(const World& a, const World& b) {
    return std::memcmp(&a, &b, sizeof(World)) == 0;
  }
};
static_assert(sizeof(World) == 52 && std::is_trivially_copyable_v<World>);

// What a single step can break, whatever the state that it leads to.
enum class Breach : uint8_t {
  kNone,
  kReportedTwice,
  kAbortWithoutToken,
  kAbortToOwner,
  kUnlinkedWhileServed,
  kClosedWithoutServing,
  kOwnerKilled,
  kQueueOverflow,
};

// One step of the world.
struct Step {
  enum Kind : uint8_t {
    kSpeak,       // S says hello
    kRead,        // the next frame; what: 0 from the predecessor, 1 from the successor
    kCarryOut,    // the next effect
    kSpawnFails,  // instead of it
    kDefer,       // kSendAccepting waits until somebody calls Accept()
    kPull,        // somebody does
    kSee,         // what: an event becomes true, with all input read, and is not yet told
    kTell,        // what: an event
    kStart,       // S, by hand
    kDie,         // SIGKILL
    kStop,        // SIGSTOP
    kContinue,
    kDelay,   // its pings are late
    kGarble,  // it sends something malformed; what: as in kRead, where to
    kLie,     // what: a frame that a liar sends
    kSteal,   // a liar reads the token
    kLeave,   // a liar ends
  };
  Kind kind;
  uint8_t who;
  uint8_t what;
  uint8_t cost;  // 1: a fault, or a wish of the embedder
};

}  // namespace zdd::model

#endif  // ZDD_TESTS_MODEL_WORLD_H_
