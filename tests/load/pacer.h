// Pacer says when a user asks next. Pure.
//
// Threads: one at a time. Lifetime: a value.
#ifndef TESTS_LOAD_PACER_H_
#define TESTS_LOAD_PACER_H_

#include <cstdint>
#include <random>

#include "tests/load/options.h"
#include "zdd/base/time.h"

namespace zdd {

class Pacer {
 public:
  // Of user number `number` of the group.
  Pacer(const LoadGroup& group, int number, uint64_t seed);

  // The first requests are spread, so that users do not act in step.
  Instant First(Instant start);

  // After a request that was due at `due` and ended at `now`. At a rate this may lie in the past:
  // then the user is late. Infinite for kIdle: it waits to be told.
  Instant Next(Instant due, Instant now);

 private:
  const bool idle_;
  const absl::Duration interval_;  // zero: no rate
  const absl::Duration think_;
  absl::Duration offset_;
  std::minstd_rand random_;
};

}  // namespace zdd

#endif  // TESTS_LOAD_PACER_H_
