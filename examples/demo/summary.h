// Summary is what the demo found: a value, a table for a person, and JSON for a machine.
//
// Threads: a value.
#ifndef EXAMPLES_DEMO_SUMMARY_H_
#define EXAMPLES_DEMO_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/load/report.h"

namespace demo {

// A version that took over.
struct Restart {
  std::string version;
  absl::Duration takeover;      // from the signal to the first answer of the new version
  int64_t predecessor_kib = 0;  // resident, when both answered
  int64_t successor_kib = 0;
};

// A version that did not.
struct BadVersion {
  std::string version;
  std::string reason;  // as the server says it
  absl::Duration lasted;
};

struct Summary {
  std::vector<Restart> restarts;
  std::vector<BadVersion> bad_versions;
  zdd::LoadReport during_restarts;
  zdd::LoadReport during_bad_versions;
  int64_t steady_kib = 0;  // resident, of one server under load

  // Of a version that crashed after it had served: what it had in its own hands. Part of no
  // promise, and of no other count.
  zdd::LoadReport limit;

  int64_t requests() const { return during_restarts.requests() + during_bad_versions.requests(); }
  int64_t lost() const { return during_restarts.lost() + during_bad_versions.lost(); }
  std::string ToText() const;
  std::string ToJson() const;
};

}  // namespace demo

#endif  // EXAMPLES_DEMO_SUMMARY_H_
