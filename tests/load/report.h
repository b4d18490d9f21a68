// LoadReport: what the users of a LoadClient saw. Nothing is rounded away: for each group,
// started == the sum of its outcomes once the client has stopped.
//
//   LoadReport report = load->Stop();
//   EXPECT_EQ(report.lost(), 0) << report.ToTable();
//
// Threads, lifetime: plain values. Units: in the names of JSON members.
#ifndef TESTS_LOAD_REPORT_H_
#define TESTS_LOAD_REPORT_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "tests/load/options.h"
#include "zdd/base/histogram.h"
#include "zdd/base/time.h"

namespace zdd {

// How a request ended. All but kOk are losses.
enum class LoadOutcome {
  kOk,
  kRefused,  // no connection
  kReset,    // RST
  kCut,      // EOF inside an answer, or instead of one on a fresh connection
  kTimedOut,
  kWrong,    // status, body, checksum, sequence, or no HTTP at all
  kRaced,    // EOF or RST before the first byte on a connection used before: closed under us
  kUntried,  // this side had no descriptor or no port
};
inline constexpr int kLoadOutcomeCount = 8;
absl::string_view LoadOutcomeName(LoadOutcome outcome);  // "timed_out"

struct LoadGroupReport {
  LoadGroupReport() = default;
  explicit LoadGroupReport(const LoadGroup& group);  // nothing seen yet

  std::string name;
  int64_t started = 0;
  std::array<int64_t, kLoadOutcomeCount> outcomes{};

  // No losses: connections that the server gave up in due form.
  int64_t told_to_reconnect = 0;  // by Connection: close on an answer
  int64_t closed_idle = 0;        // EOF while nothing was asked

  // How often a connection was answered by another version than before: it has moved.
  int64_t moved = 0;

  // Latencies of right answers, beyond the time that a slow answer, an upload, a stream or a tunnel
  // takes by its nature.
  Histogram steady;
  Histogram around;  // of requests in the windows around restarts

  int64_t count(LoadOutcome outcome) const { return outcomes[static_cast<size_t>(outcome)]; }
  int64_t ended() const;
  int64_t lost() const { return ended() - count(LoadOutcome::kOk); }
  int64_t reconnects() const { return told_to_reconnect + closed_idle; }
  void Merge(const LoadGroupReport& other);
};

struct LoadVersion {
  std::string version;  // X-Version
  int64_t answers = 0;
  Instant first;  // answer, and the last one
  Instant last;
};

struct LoadMark {
  std::string label;
  Instant begin;
  absl::optional<Instant> end;
  // The version that was first seen after it, before the next mark; and how long after.
  absl::optional<std::string> version;
  absl::optional<absl::Duration> takeover;
};

struct LoadReport {
  std::vector<LoadGroupReport> groups;  // in the order of the options
  std::vector<LoadVersion> versions;    // in the order of their first answers
  std::vector<LoadMark> marks;
  std::vector<std::string> losses;  // the first ones, each told once
  absl::Duration elapsed;

  LoadGroupReport Sum() const;
  int64_t requests() const { return Sum().started; }
  int64_t lost() const { return Sum().lost(); }
  int64_t reconnects() const { return Sum().reconnects(); }
  int64_t moved() const { return Sum().moved; }

  std::string ToJson() const;
  std::string ToTable() const;  // several lines for a terminal, and the losses
};

// "1,234,567".
std::string WithCommas(int64_t number);

// "85 us", "1.24 ms", "2.5 s": three digits.
std::string ShortDuration(absl::Duration duration);

}  // namespace zdd

#endif  // TESTS_LOAD_REPORT_H_
