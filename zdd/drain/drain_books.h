// DrainBooks keeps the account of one drain, of all work or of some kinds: what became of the
// tickets, how fast, who was there at the cut, and who stayed.
//
//   DrainBooks books(table, kinds);
//   books.Open("commit", now);
//   books.Sample(now);                                  // now and then, for the rate
//   books.NameAtCut();
//   books.Close(now);
//   DrainReport report = books.Report(now);             // at any time
//
// Threads: the drain's. Lifetime: keeps its table.
#ifndef ZDD_DRAIN_DRAIN_BOOKS_H_
#define ZDD_DRAIN_DRAIN_BOOKS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/end_rate.h"
#include "zdd/drain/ticket_table.h"
#include "zdd/drain/ticket_tally.h"

namespace zdd {

class DrainBooks {
 public:
  explicit DrainBooks(std::shared_ptr<TicketTable> table, const Kinds& kinds = Kinds().set())
      : table_(std::move(table)), kinds_(kinds) {}

  // What ends from now on is counted; a second call only begins the duration anew. REQUIRES: the
  // table drains.
  void Open(Instant now);
  void SetReason(absl::string_view reason) { report_.reason = std::string(reason); }
  void AddAdjustments(const std::vector<std::string>& adjustments, absl::string_view kind);
  void Sample(Instant now) {
    if (rate_.Wants(now)) rate_.Add(now, Ended());
  }
  // The first call counts. Who is cut is gone before the report is read.
  void NameAtCut();
  // The drain has ended: who is there now has stayed, and what happens to him counts no more.
  void Close(Instant now);

  DrainReport Report(Instant now) const;
  double EndedPerSecond(Instant now) const { return rate_.PerSecond(now, Ended()); }
  int64_t Live() const;
  const Kinds& kinds() const { return kinds_; }

 private:
  TicketTally Tally() const { return table_->Tally(kinds_) - at_begin_; }
  int64_t Ended() const { return Tally().ended(); }

  std::shared_ptr<TicketTable> table_;
  Kinds kinds_;
  bool open_ = false;
  bool named_ = false;
  Instant began_;
  TicketTally at_begin_;
  int64_t entered_at_end_ = 0;  // since the table was made
  EndRate rate_;
  DrainReport report_;  // complete when closed
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_BOOKS_H_
