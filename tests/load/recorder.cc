#include "tests/load/recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace zdd {

Recorder::Recorder(const std::vector<LoadGroup>& groups, Timeline* timeline) : timeline_(timeline) {
  for (const LoadGroup& group : groups) groups_.emplace_back(group);
}

void Recorder::Begin(int group) {
  MutexLock lock(&mutex_);
  ++groups_[group].started;
}

void Recorder::End(int group, const Ended& ended) {
  const bool around = timeline_->Around(ended.marks_then, ended.begin);
  MutexLock lock(&mutex_);
  LoadGroupReport& report = groups_[group];
  ++report.outcomes[static_cast<size_t>(ended.outcome)];
  if (!ended.version.empty()) CountVersion(ended.version, ended.end);
  if (ended.outcome == LoadOutcome::kOk) {
    (around ? report.around : report.steady).Record(ended.end - ended.begin - ended.length);
  } else {
    Tell(absl::StrCat(report.name, ": ", LoadOutcomeName(ended.outcome), ": ", ended.loss));
  }
}

void Recorder::Tell(std::string loss) {
  if (losses_.size() == kLossesToldMax) return;
  if (std::find(losses_.begin(), losses_.end(), loss) != losses_.end()) return;
  losses_.push_back(std::move(loss));
}

void Recorder::ToldToReconnect(int group) {
  MutexLock lock(&mutex_);
  ++groups_[group].told_to_reconnect;
}

void Recorder::ClosedIdle(int group) {
  MutexLock lock(&mutex_);
  ++groups_[group].closed_idle;
}

void Recorder::Moved(int group) {
  MutexLock lock(&mutex_);
  ++groups_[group].moved;
}

void Recorder::CountVersion(absl::string_view version, Instant now) {
  // From the back: the newest one answers most.
  const auto found = std::find_if(versions_.rbegin(), versions_.rend(),
                                  [&](const LoadVersion& one) { return one.version == version; });
  if (found == versions_.rend()) {
    versions_.push_back({std::string(version), 1, now, now});
    timeline_->Seen(version, now);
  } else {
    ++found->answers;
    found->last = now;
  }
}

void Recorder::AddTo(LoadReport* report) const {
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < groups_.size(); ++i) report->groups[i].Merge(groups_[i]);
  for (const LoadVersion& mine : versions_) {
    const auto found =
        std::find_if(report->versions.begin(), report->versions.end(),
                     [&](const LoadVersion& one) { return one.version == mine.version; });
    if (found == report->versions.end()) {
      report->versions.push_back(mine);
      continue;
    }
    found->answers += mine.answers;
    found->first = std::min(found->first, mine.first);
    found->last = std::max(found->last, mine.last);
  }
  report->losses.insert(report->losses.end(), losses_.begin(), losses_.end());
}

}  // namespace zdd
