#include "zdd/migration/answer_clock.h"

#include <algorithm>

namespace zdd {

void AnswerClock::Acknowledged() {
  if (!sent_at_.empty()) sent_at_.pop_front();
  counted_anew_ = false;
}

Instant AnswerClock::next() const {
  if (sent_at_.empty()) return absl::InfiniteDuration();
  return std::max(sent_at_.front() + kAnswerTime, not_before_);
}

bool AnswerClock::Overdue(Instant now) {
  const Instant due = next();
  if (now < due) return false;
  if (counted_anew_ || now - due <= kLateMax) return true;
  counted_anew_ = true;
  not_before_ = now + kAnswerTime;
  return false;
}

}  // namespace zdd
