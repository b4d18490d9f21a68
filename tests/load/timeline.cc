#include "tests/load/timeline.h"

#include <algorithm>

namespace zdd {

void Timeline::Mark(absl::string_view label, Instant now) {
  MutexLock lock(&mutex_);
  marks_.push_back({std::string(label), now});
  SetWindowEnd(absl::InfiniteDuration());
  mark_count_.fetch_add(1, std::memory_order_release);
}

void Timeline::MarkEnd(Instant now) {
  MutexLock lock(&mutex_);
  if (marks_.empty() || marks_.back().end) return;
  marks_.back().end = now;
  SetWindowEnd(std::max(now, marks_.back().begin + window_));
}

bool Timeline::Around(int marks_then, Instant begin) const {
  if (mark_count() != marks_then) return true;  // one began while the request ran
  return absl::ToInt64Nanoseconds(begin) <= window_end_ns_.load(std::memory_order_acquire);
}

void Timeline::Seen(absl::string_view version, Instant now) {
  MutexLock lock(&mutex_);
  for (auto& [name, first] : versions_) {
    if (name != version) continue;
    first = std::min(first, now);
    return;
  }
  versions_.emplace_back(std::string(version), now);
  seen_.SignalAll();
}

absl::optional<Instant> Timeline::FirstAnswer(absl::string_view version) const {
  for (const auto& [name, first] : versions_) {
    if (name == version) return first;
  }
  return absl::nullopt;
}

absl::optional<absl::Duration> Timeline::Await(absl::string_view version, absl::Duration timeout) {
  const Instant deadline = MonotonicNow() + timeout;
  MutexLock lock(&mutex_);
  absl::optional<Instant> first;
  while (!(first = FirstAnswer(version))) {
    const Instant now = MonotonicNow();
    if (now >= deadline) return absl::nullopt;
    seen_.WaitFor(&mutex_, deadline - now);
  }
  return marks_.empty() ? absl::ZeroDuration() : *first - marks_.back().begin;
}

std::vector<LoadMark> Timeline::marks() const {
  MutexLock lock(&mutex_);
  std::vector<LoadMark> marks = marks_;
  for (size_t i = 0; i < marks.size(); ++i) {
    const Instant next = i + 1 < marks.size() ? marks[i + 1].begin : absl::InfiniteDuration();
    for (const auto& [version, first] : versions_) {
      if (first < marks[i].begin || first >= next) continue;
      if (marks[i].takeover && *marks[i].takeover <= first - marks[i].begin) continue;
      marks[i].version = version;
      marks[i].takeover = first - marks[i].begin;
    }
  }
  return marks;
}

}  // namespace zdd
