// FdReserve keeps descriptors free for an upgrade. A server at its limit gives each that it can
// spare to a client; without a reserve nothing would be left to start a successor with, just where
// one is needed.
//
//   reserve.Aim(listeners.size());     // before the first client
//   reserve.GiveForSpawn();            // whoever opens descriptors next gets these
//   reserve.GiveAll();                 // for the offer, or for good
//   reserve.Refill();                  // the upgrade has failed
//
// Threads: one at a time. Errors: none; a reserve that is not to be had is smaller.
#ifndef ZDD_SERVICE_FD_RESERVE_H_
#define ZDD_SERVICE_FD_RESERVE_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

class FdReserve {
 public:
  // Takes what an upgrade needs with so many listeners, but at most a quarter of what is free:
  // clients need the others.
  void Aim(size_t listeners);
  void Refill();
  void GiveForSpawn();
  void GiveAll() { held_.clear(); }

  size_t size() const { return held_.size(); }

  // `status`, and how many it takes if it was for want of descriptors.
  static absl::Status Explain(const absl::Status& status);

 private:
  size_t aim_ = 0;
  std::vector<OwnedFd> held_;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_FD_RESERVE_H_
