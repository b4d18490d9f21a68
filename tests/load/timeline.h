// Timeline holds what all threads of a LoadClient share: the marked restarts, and which versions
// have answered.
//
// Threads: any. mark_count() and Around() are wait-free; Seen() takes a lock only for a version new
// to its caller.
#ifndef TESTS_LOAD_TIMELINE_H_
#define TESTS_LOAD_TIMELINE_H_

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "tests/load/report.h"
#include "zdd/base/mutex.h"
#include "zdd/base/time.h"

namespace zdd {

class Timeline {
 public:
  explicit Timeline(absl::Duration window) : window_(window) {}

  void Mark(absl::string_view label, Instant now);
  void MarkEnd(Instant now);

  // How many marks there were: a request notes it when it begins.
  int mark_count() const { return mark_count_.load(std::memory_order_acquire); }

  // Whether a request that began at `begin`, when there were `marks_then` marks, and ends now
  // overlaps a window.
  bool Around(int marks_then, Instant begin) const;

  // An answer of `version` came. To be called for each version once per thread at least.
  void Seen(absl::string_view version, Instant now);

  // Waits until `version` has answered; how long after the last mark that was. None: not within
  // `timeout`.
  absl::optional<absl::Duration> Await(absl::string_view version, absl::Duration timeout);

  // With the version that each brought.
  std::vector<LoadMark> marks() const;

 private:
  absl::optional<Instant> FirstAnswer(absl::string_view version) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetWindowEnd(Instant end) {
    window_end_ns_.store(absl::ToInt64Nanoseconds(end), std::memory_order_release);
  }

  const absl::Duration window_;
  // Both are written by Mark and read by Around. Mark stores the end of its window first: who sees
  // the new count (acquire) sees that window too.
  std::atomic<int> mark_count_{0};
  std::atomic<int64_t> window_end_ns_{0};

  mutable Mutex mutex_;
  CondVar seen_;
  std::vector<LoadMark> marks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, Instant>> versions_
      ABSL_GUARDED_BY(mutex_);  // and their first answers
};

}  // namespace zdd

#endif  // TESTS_LOAD_TIMELINE_H_
