// MigrateWave asks tickets to move, no faster than they can leave: who is asked too early stands in
// a queue while his client waits (measured: 10,000 asked at once, p99 of an active client 11 to 69
// ms; 128 at a time, 2 ms).
//
//   MigrateWave wave(core, kinds, /*credit=*/128);
//   bool more = wave.Advance(now, sender.pending(), /*budget=*/1000);
//
// The credit is for idle tickets that were asked and have not left, and for those that left and are
// not acknowledged yet. A busy one is only marked: it moves when its request is done, and counts
// from then on. A ticket that has been asked and does not leave for kPatience counts no more: one
// server that ignores the ask does not hold up the rest.
//
// Tickets are taken bucket by bucket (TicketCore), so that an AskedFd becomes readable when all
// that share it have been asked.
//
// Threads: the drain's. Lifetime: the core outlives it.
#ifndef ZDD_DRAIN_MIGRATE_WAVE_H_
#define ZDD_DRAIN_MIGRATE_WAVE_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "zdd/base/time.h"
#include "zdd/drain/ticket_core.h"
#include "zdd/drain/ticket_tally.h"

namespace zdd {

class MigrateWave {
 public:
  static constexpr absl::Duration kPatience = absl::Seconds(1);
  // Tickets that came since the last walk are looked for so often.
  static constexpr absl::Duration kCollectPeriod = absl::Milliseconds(100);

  MigrateWave(TicketCore* core, const Kinds& kinds, int credit)
      : core_(core), kinds_(kinds), credit_(credit) {}
  ~MigrateWave();
  MigrateWave(const MigrateWave&) = delete;
  MigrateWave& operator=(const MigrateWave&) = delete;

  // Asks as many as the credit allows, and looks at `budget` tickets at the most. `pending`: those
  // that have left their server and not yet this process. True if it wants to go on after a turn of
  // the loop; else it waits for tickets to leave, or for kCollectPeriod.
  bool Advance(Instant now, int pending, int budget);

  const Kinds& kinds() const { return kinds_; }
  // Tickets of these are asked too.
  void Add(const Kinds& more);

  // Asked while idle, and not gone.
  int in_flight() const { return static_cast<int>(in_flight_.size()); }

 private:
  struct Asked {
    TicketSlot* slot;
    Instant at;
  };

  void ForgetGone(Instant now);
  bool Collect(Instant now);
  void FinishBucket(Instant now);

  TicketCore* const core_;
  Kinds kinds_;
  const int credit_;
  std::vector<TicketSlot*> to_ask_;  // by bucket
  size_t next_ = 0;
  int bucket_ = -1;  // of the last one that was asked
  std::vector<Asked> in_flight_;
  std::vector<TicketSlot*> silent_;  // asked in this bucket, and not told of it yet
  uint64_t passed_ = 0;              // buckets
  Instant collected_ = -absl::InfiniteDuration();
};

}  // namespace zdd

#endif  // ZDD_DRAIN_MIGRATE_WAVE_H_
