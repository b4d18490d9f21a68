#include "zdd/drain/drain_books.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace zdd {

void DrainBooks::Open(Instant now) {
  began_ = now;
  if (!std::exchange(open_, true)) at_begin_ = table_->Tally(kinds_);
}

void DrainBooks::AddAdjustments(const std::vector<std::string>& adjustments,
                                absl::string_view kind) {
  for (const std::string& adjustment : adjustments) {
    report_.adjustments.push_back(absl::StrCat(kind, kind.empty() ? "" : ": ", adjustment));
  }
}

void DrainBooks::NameAtCut() {
  if (std::exchange(named_, true)) return;
  report_.at_cut = table_->Oldest(DrainReport::kAtCutMax, kinds_);
}

void DrainBooks::Close(Instant now) {
  report_ = Report(now);
  report_.late = report_.entered - report_.ended();
  entered_at_end_ = table_->Sums().entered;
  report_.drained = true;
  report_.stragglers = table_->Oldest(DrainReport::kStragglersMax, kinds_);
}

// The sums know it without a walk, but of all kinds only.
int64_t DrainBooks::Live() const {
  return kinds_.all() ? table_->Sums().live() : table_->Count(kinds_).total;
}

DrainReport DrainBooks::Report(Instant now) const {
  DrainReport report = report_;
  if (!open_) return report;
  if (report.drained) {  // the books are closed, but for who came since
    const int64_t since = kinds_.all() ? table_->Sums().entered - entered_at_end_ : 0;
    report.late += since;
    report.entered += since;
    return report;
  }
  const TicketTally tally = Tally();
  report.duration = now - began_;
  report.moved = tally.moved;
  report.came_back = tally.came_back;
  report.finished = tally.finished();
  report.closed = tally.closed();
  report.cut = tally.cut();
  report.lost_race = tally.lost_race;
  report.outlived_fd = tally.outlived_fd;
  report.entered = report.ended() + Live();
  return report;
}

}  // namespace zdd
