// Probe asks a server again and again, on a new connection each time, until a version answers.
//
// Threads: one. Errors: none; what refuses, resets or says nothing is asked again.
#ifndef BENCHMARKS_UTIL_PROBE_H_
#define BENCHMARKS_UTIL_PROBE_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "zdd/base/time.h"
#include "zdd/net/address.h"

namespace zdd {

// When the first answer whose X-Version is `version` was there. None: not within `timeout`.
absl::optional<Instant> AwaitAnswer(const Address& server, absl::string_view version,
                                    absl::Duration timeout);

}  // namespace zdd

#endif  // BENCHMARKS_UTIL_PROBE_H_
