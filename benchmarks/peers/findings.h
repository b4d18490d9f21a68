// Findings: what clients of each peer saw of its restarts, and as a table, a chart and JSON.
//
//   fputs(ToTable(findings).c_str(), stdout);      // Markdown, that a terminal shows well too
//
// Threads, lifetime: plain values, pure functions.
#ifndef BENCHMARKS_PEERS_FINDINGS_H_
#define BENCHMARKS_PEERS_FINDINGS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/load/report.h"

namespace zdd {

// Each peer goes through each of them, with a server of its own.
enum class Session { kPaced, kSaturated, kThinking, kNew, kLong, kTunnels };
inline constexpr int kSessionCount = 6;

// What was seen in one session. Durations: one for each restart.
struct Seen {
  std::vector<LoadGroupReport> groups;
  std::vector<absl::Duration> switches;  // from the trigger to the first answer of the new one
  std::vector<absl::Duration> ends;      // from the trigger until nothing of the old one is left
  int64_t steady_kib = 0;
  int64_t peak_kib = 0;
};

struct PeerFindings {
  std::string name;
  std::string missing;  // why there are none; else empty
  std::array<Seen, kSessionCount> sessions;

  const Seen& in(Session session) const { return sessions[static_cast<size_t>(session)]; }
  int64_t failed() const;
};

struct Findings {
  std::string machine;  // and when: one line
  int restarts = 0;     // in each session
  std::vector<PeerFindings> peers;
};

// The middle one, or zero if there is none.
absl::Duration Middle(std::vector<absl::Duration> durations);

std::string ToTable(const Findings& findings);
std::string ToSummary(const Findings& findings);  // a line for each peer: what the chart shows
std::string ToSvg(const Findings& findings);
std::string ToJson(const Findings& findings);

}  // namespace zdd

#endif  // BENCHMARKS_PEERS_FINDINGS_H_
