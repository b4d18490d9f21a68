// A DrainWorld is a service under a drain, in virtual time: connections that come, work, rest,
// answer what they are asked or do not, and a loop that ticks when it should, or late.
//
//   DrainWorld world(seed);
//   world.Open(1000);
//   world.Begin(plan);
//   world.RunUntilDrained();
//   for (const Life& life : world.lives()) ...        // what each of them heard, and when
//
// Threads: one at a time, and one world at a time: the clock is the process's.
#ifndef TESTS_UNIT_DRAIN_DRAIN_WORLD_H_
#define TESTS_UNIT_DRAIN_DRAIN_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {

struct Heard {
  Ask ask;
  Instant at;
  bool busy;
};

// One connection, from its entry to its end.
struct Life {
  size_t number = 0;
  std::string kind;
  Instant entered;
  Instant left = absl::InfiniteDuration();
  std::vector<Heard> heard;
  bool busy = true;
  bool deaf = false;  // answers nothing, ever
  bool moved = false;
  int came_back = 0;
  Ticket ticket;

  bool gone() const { return left != absl::InfiniteDuration(); }
  // When it first heard at least `ask`; InfiniteDuration() if never.
  Instant HeardAt(Ask ask) const;
};

struct WorldOptions {
  absl::Duration work = absl::Milliseconds(50);   // mean time of a request; infinite: it never ends
  absl::Duration rest = absl::Milliseconds(500);  // mean time between two
  double deaf_share = 0;                          // never close, whatever they are asked
  double arrivals_per_second = 0;                 // after Begin, too
  absl::Duration late_tick_max;                   // the loop is busy with other things
  // Where connections move: how long until one is acknowledged, at most, and how many are refused.
  absl::Duration acknowledge_max = absl::Milliseconds(2);
  double refused_share = 0;
};

class DrainWorld {
 public:
  explicit DrainWorld(uint32_t seed, WorldOptions options = WorldOptions());
  ~DrainWorld();

  void Open(int count, const std::string& kind = "http");
  // `also` runs in each callback, after the connection's own reaction.
  void Also(std::function<void(Life*, Ask)> also) { also_ = std::move(also); }

  // From now on connections move. Before or after Begin.
  void BeginMoving();
  // What has left and is not acknowledged comes back, and may move once more.
  void PausePair();
  // What has left and is not acknowledged comes back, and no more can move.
  void BreakPair();
  void Begin(const DrainPlan& plan);
  void BeginKind(const std::string& kind, const DrainPlan& plan);
  void CancelKind(const std::string& kind);
  // Runs until that kind drains alone no more, or `limit` has passed; the time that it took.
  absl::Duration RunWhileAlone(const std::string& kind, absl::Duration limit = absl::Hours(10));
  // Runs until the drain has ended, or `limit` has passed; the time that it took.
  absl::Duration RunUntilDrained(absl::Duration limit = absl::Hours(10));
  void RunFor(absl::Duration time);
  // Nothing runs meanwhile; what should have happened comes at once after it.
  void Sleep(absl::Duration time);
  // As the loop does by itself: ticks until the drain wants nothing more now.
  void TickNow();

  Life* OpenOne(const std::string& kind = "http");
  void Close(Life* life);

  Instant now() const { return VirtualNow(); }
  Instant began() const { return began_; }
  Drain& drain() { return *drain_; }
  TicketTable& table() { return *table_; }
  std::deque<Life>& lives() { return lives_; }
  int ticks() const { return ticks_; }
  int pending() const { return static_cast<int>(leaving_.size()); }

 private:
  static Instant VirtualNow();

  absl::Duration Exponential(absl::Duration mean);
  void At(Instant when, std::function<void()> what);
  void StartWork(Life* life);
  void StartRest(Life* life);
  void OnAsk(Life* life, Ask ask);
  void Migrate(Life* life);
  void ComeBack(Life* life, bool again = false);
  void OnAnswer(Life* life);
  void Arrive();
  bool Step(Instant until);

  const WorldOptions options_;
  std::mt19937 random_;
  std::shared_ptr<TicketTable> table_;
  std::unique_ptr<Drain> drain_;
  std::deque<Life> lives_;
  std::multimap<Instant, std::function<void()>> events_;
  std::function<void(Life*, Ask)> also_;
  Instant next_tick_ = absl::InfiniteDuration();
  bool woken_ = false;
  std::map<Life*, Ticket> leaving_;  // given to Migrate(), not acknowledged
  Instant began_ = absl::InfiniteDuration();
  int ticks_ = 0;
};

DrainPlan RandomPlan(std::mt19937* random);  // that fits
WorldOptions RandomOptions(std::mt19937* random);

}  // namespace zdd

#endif  // TESTS_UNIT_DRAIN_DRAIN_WORLD_H_
