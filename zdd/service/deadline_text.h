// DeadlineText says of a phase that has lasted too long what did not happen in it, and which option
// would have given more time.
//
//   zdd::DeadlineText(Phase::kSpawning, absl::Seconds(5), limits, "pid 7");
//   // "pid 7 did not come to Service::Create() within 5s (options.hello_timeout)"
//
// Threads: any.
#ifndef ZDD_SERVICE_DEADLINE_TEXT_H_
#define ZDD_SERVICE_DEADLINE_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "zdd/handoff/handoff_clock.h"
#include "zdd/handoff/handoff_table.h"

namespace zdd {

// `lasted`: the phase. Longer than its limit if this process slept meanwhile; then both are told.
std::string DeadlineText(Phase phase, absl::Duration lasted, const HandoffLimits& limits,
                         absl::string_view peer);

}  // namespace zdd

#endif  // ZDD_SERVICE_DEADLINE_TEXT_H_
