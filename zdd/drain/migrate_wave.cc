#include "zdd/drain/migrate_wave.h"

#include <algorithm>

#include "zdd/drain/asking.h"

namespace zdd {
namespace {

// Still with its server, which was asked to move it.
bool IsInFlight(const TicketSlot& slot) {
  const uint8_t life = slot.life.load(std::memory_order_acquire);
  return life != TicketFlags::kFree && (life & TicketFlags::kMoving) == 0 &&
         slot.level.load(std::memory_order_relaxed) == static_cast<uint8_t>(Ask::kMigrate);
}

}  // namespace

bool MigrateWave::Advance(Instant now, int pending, int budget) {
  ForgetGone(now);
  int room = credit_ - pending - in_flight();
  for (; budget > 0; --budget) {
    if (next_ == to_ask_.size()) {
      FinishBucket(now);
      if (!Collect(now)) return false;
    }
    TicketSlot* slot = to_ask_[next_];
    if (core_->BucketOf(*slot) != bucket_) {
      FinishBucket(now);
      bucket_ = core_->BucketOf(*slot);
    }
    // Those that are told by the fd of their bucket leave when all of it have been asked, so such a
    // bucket is finished whatever the credit says.
    if (room <= 0 && silent_.empty()) return false;
    ++next_;
    switch (AskToMove(core_, slot, kinds_)) {
      case AskedToMove::kNo:
        break;
      case AskedToMove::kBusy:
        --room;
        break;
      case AskedToMove::kIdle:
        --room;
        if (IsInFlight(*slot)) in_flight_.push_back({slot, now});
        break;
      case AskedToMove::kSilent:
        --room;
        silent_.push_back(slot);
        break;
    }
  }
  return true;
}

void MigrateWave::Add(const Kinds& more) {
  kinds_ |= more;
  passed_ = 0;
  collected_ = -absl::InfiniteDuration();
}

// From then on tickets are not born asked any more.
MigrateWave::~MigrateWave() {
  for (int kind = 0; kind < kKindsMax; ++kind) {
    if (kinds_[kind]) core_->SetMoving(static_cast<uint8_t>(kind), 0);
  }
}

void MigrateWave::ForgetGone(Instant now) {
  std::erase_if(in_flight_, [&](const Asked& asked) {
    return now - asked.at > kPatience || !IsInFlight(*asked.slot);
  });
}

// Whoever is there and was not asked yet; true if somebody is.
bool MigrateWave::Collect(Instant now) {
  if (now - collected_ < kCollectPeriod) return false;
  collected_ = now;
  to_ask_.clear();
  next_ = 0;
  std::array<std::vector<TicketSlot*>, TicketCore::kBuckets> buckets;
  for (int i = 0; i < core_->chunk_count(); ++i) {
    TicketSlot* slots = core_->chunk(i);
    for (int j = 0; j < TicketSlab::kChunkSlots; ++j) {
      const uint8_t life = slots[j].life.load(std::memory_order_acquire);
      if (life == TicketFlags::kFree || (life & TicketFlags::kMoving) != 0) continue;
      if (!kinds_[slots[j].kind.load(std::memory_order_relaxed)]) continue;
      if (slots[j].level.load(std::memory_order_relaxed) != 0) continue;
      if (slots[j].done.load(std::memory_order_relaxed) != 0) continue;  // it has come back
      buckets[core_->BucketOf(slots[j])].push_back(&slots[j]);
    }
  }
  for (const std::vector<TicketSlot*>& bucket : buckets)
    to_ask_.insert(to_ask_.end(), bucket.begin(), bucket.end());
  if (!to_ask_.empty()) return true;
  passed_ = ~uint64_t{0};
  bucket_ = -1;
  FinishBucket(now);
  return false;
}

// From here on tickets of this bucket are born asked.
void MigrateWave::FinishBucket(Instant now) {
  if (bucket_ >= 0) passed_ |= uint64_t{1} << bucket_;
  for (int kind = 0; kind < kKindsMax; ++kind) {
    if (!kinds_[kind]) continue;
    core_->SetMoving(static_cast<uint8_t>(kind), passed_);
    core_->SignalAsked(static_cast<uint8_t>(kind), passed_);
  }
  for (TicketSlot* slot : silent_) {
    if (IsInFlight(*slot)) in_flight_.push_back({slot, now});
  }
  silent_.clear();
}

}  // namespace zdd
