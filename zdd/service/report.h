// Report: what one restart, or one whole life of a generation, came to. A value, and JSON for
// machines.
//
//   service.Upgrade([](const zdd::Report& report) {
//     if (!report.status.ok()) LOG(ERROR) << report.status;      // "...: readiness check "db":
//     connection refused" std::cout << report.ToJson();
//   });
//
// Threads: a value. Units: durations as absl::Duration, in JSON as milliseconds with three decimals
// (`..._ms`).
#ifndef ZDD_SERVICE_REPORT_H_
#define ZDD_SERVICE_REPORT_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "zdd/drain/drain_report.h"

namespace zdd {

// A generation as another one sees it.
struct GenerationInfo {
  int number = 0;  // along the lineage, from 1; never given twice
  pid_t pid = 0;   // 0: in a pid namespace that this process does not see
  std::string version;
};

// How one name fared between two generations.
struct ListenerReport {
  enum class Fate { kKept, kAdded, kDropped, kRebound };
  std::string name;
  std::string address;  // with the real port
  Fate fate = Fate::kKept;
  std::vector<std::string> notes;  // differences that were applied, or why it was bound anew
};

struct PhaseReport {
  std::string name;  // "offering", "standby", ...
  absl::Duration duration;
};

struct Report {
  // Ok: promoted (an upgrade), or ended as asked (Wait). Else why not, in the code that says whose
  // fault it is.
  absl::Status status;
  std::string reason;  // what began it: "upgrade by signal 12", "stop: signal 15"

  GenerationInfo self;
  GenerationInfo peer;  // the other side of the last handoff, number 0 if there was none
  std::vector<PhaseReport> phases;
  absl::Duration total;
  std::vector<ListenerReport> listeners;
  std::vector<GenerationInfo> still_draining;  // older generations
  bool orphaned = false;                       // the predecessor died in the handoff
  bool helped = false;                         // one side accepted for a silent one
  bool serving = false;                        // failed, and this generation serves on
  DrainReport drain;                           // connections: finished, closed, cut and named

  // What main() returns: 0 if status is Ok, else 1.
  int exit_code() const { return status.ok() ? 0 : 1; }
  std::string ToJson() const;
  // Several lines for a terminal.
  std::string ToText() const;
};

// For a log: how many a drain has cut, or had to leave, and the first of them: "http
// tcp://192.0.2.7:4711 (busy, 32s old)". Empty if it did so to nobody.
std::string CutText(const DrainReport& drain);

// For a log, in one line: how many are left of how many, what became of the others, when the end is
// expected, and the oldest of those that are left.
std::string ProgressText(const DrainProgress& progress);

// For a health endpoint or a tool; as Report::ToJson().
std::string ProgressJson(const DrainProgress& progress);

}  // namespace zdd

#endif  // ZDD_SERVICE_REPORT_H_
