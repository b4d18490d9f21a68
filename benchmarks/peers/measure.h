// MeasurePeer puts one peer through all sessions of restarts under load.
//
// Threads: one. Lifetime: what it starts has ended when it returns. Errors: a restart that is not
// over in time, with the end of the server's log; what clients lose is no error, but a finding.
#ifndef BENCHMARKS_PEERS_MEASURE_H_
#define BENCHMARKS_PEERS_MEASURE_H_

#include <string>

#include "absl/status/statusor.h"
#include "benchmarks/peers/findings.h"
#include "benchmarks/peers/server.h"

namespace zdd {

// `directory` is made. `restarts`: in each session.
absl::StatusOr<PeerFindings> MeasurePeer(const Recipe& recipe, const std::string& directory,
                                         int restarts);

}  // namespace zdd

#endif  // BENCHMARKS_PEERS_MEASURE_H_
