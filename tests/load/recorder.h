// Recorder counts what the users of one thread see.
//
//   recorder.Begin(group);
//   recorder.End(group, {.outcome = LoadOutcome::kOk, .begin = begin, .end = now});
//
// Threads: users call from one, AddTo from any.
#ifndef TESTS_LOAD_RECORDER_H_
#define TESTS_LOAD_RECORDER_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "tests/load/options.h"
#include "tests/load/report.h"
#include "tests/load/timeline.h"
#include "zdd/base/mutex.h"

namespace zdd {

class Recorder {
 public:
  static constexpr size_t kLossesToldMax = 20;

  struct Ended {
    LoadOutcome outcome;
    Instant begin;          // when it was due
    absl::Duration length;  // that it takes by its nature
    Instant end;
    int marks_then;             // Timeline::mark_count() when it began
    absl::string_view version;  // that answered. Empty: none did
    absl::string_view loss;     // told to a person, if it is one
  };

  // `timeline` outlives it.
  Recorder(const std::vector<LoadGroup>& groups, Timeline* timeline);

  int mark_count() const { return timeline_->mark_count(); }
  void Begin(int group);
  void End(int group, const Ended& ended);
  void ToldToReconnect(int group);
  void ClosedIdle(int group);
  void Moved(int group);

  void AddTo(LoadReport* report) const;

 private:
  void Tell(std::string loss) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountVersion(absl::string_view version, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Timeline* const timeline_;
  mutable Mutex mutex_;
  std::vector<LoadGroupReport> groups_ ABSL_GUARDED_BY(mutex_);
  std::vector<LoadVersion> versions_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> losses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace zdd

#endif  // TESTS_LOAD_RECORDER_H_
