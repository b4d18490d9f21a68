// TicketTally is what became of tickets; TallyByKind counts it, for each kind of work, while their
// table drains.
//
//   tally.Left(kind, level);                                   // any thread
//   TicketTally since = tally.Of(kinds) - at_begin;
//
// Threads: any. Whoever has seen a ticket leave in the slab's sums sees it here too: it is counted
// here first, and there with release.
#ifndef ZDD_DRAIN_TICKET_TALLY_H_
#define ZDD_DRAIN_TICKET_TALLY_H_

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include "zdd/drain/ask.h"

namespace zdd {

inline constexpr int kKindsMax = 256;
// A set of kinds, by their numbers.
using Kinds = std::bitset<kKindsMax>;

struct TicketTally {
  // Left, by the highest ask that each had got; those that moved are among kMigrate's.
  std::array<int64_t, kAskCount> left = {};
  int64_t moved = 0;
  int64_t came_back = 0;
  int64_t lost_race = 0;
  int64_t outlived_fd = 0;

  int64_t Left(Ask ask) const { return left[static_cast<size_t>(ask)]; }
  int64_t finished() const { return Left(Ask::kNone) + Left(Ask::kMigrate) - moved; }
  int64_t closed() const { return Left(Ask::kGoodbye) + Left(Ask::kCloseWhenIdle); }
  int64_t cut() const { return Left(Ask::kCloseNow); }
  int64_t ended() const { return finished() + moved + closed() + cut(); }

  friend TicketTally operator-(TicketTally a, const TicketTally& b) {
    for (size_t i = 0; i < a.left.size(); ++i) a.left[i] -= b.left[i];
    a.moved -= b.moved;
    a.came_back -= b.came_back;
    a.lost_race -= b.lost_race;
    a.outlived_fd -= b.outlived_fd;
    return a;
  }
};

class TallyByKind {
 public:
  void Left(uint8_t kind, uint8_t level) { Add(&kinds_[kind].left[level]); }
  void Moved(uint8_t kind) { Add(&kinds_[kind].moved); }
  void CameBack(uint8_t kind) { Add(&kinds_[kind].came_back); }
  void LostRace(uint8_t kind) { Add(&kinds_[kind].lost_race); }
  void OutlivedFd(uint8_t kind) { Add(&kinds_[kind].outlived_fd); }

  TicketTally Of(const Kinds& kinds) const {
    TicketTally sum;
    for (size_t kind = 0; kind < kKindsMax; ++kind) {
      if (!kinds[kind]) continue;
      const Counts& counts = kinds_[kind];
      for (size_t i = 0; i < sum.left.size(); ++i) sum.left[i] += Read(counts.left[i]);
      sum.moved += Read(counts.moved);
      sum.came_back += Read(counts.came_back);
      sum.lost_race += Read(counts.lost_race);
      sum.outlived_fd += Read(counts.outlived_fd);
    }
    return sum;
  }

 private:
  using Count = std::atomic<int64_t>;
  struct Counts {
    std::array<Count, kAskCount> left = {};
    Count moved{0};
    Count came_back{0};
    Count lost_race{0};
    Count outlived_fd{0};
  };
  static void Add(Count* count) { count->fetch_add(1, std::memory_order_relaxed); }
  static int64_t Read(const Count& count) { return count.load(std::memory_order_relaxed); }

  std::array<Counts, kKindsMax> kinds_;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_TICKET_TALLY_H_
