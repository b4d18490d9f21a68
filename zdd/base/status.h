// From errno to absl::Status, and context added on the way up.
//
//   return zdd::ErrnoStatus(errno, "bind tcp://0.0.0.0:80");      // "bind tcp://0.0.0.0:80:
//   Permission denied (EACCES)" return zdd::Annotate(status, "listener \"http\"");            //
//   "listener "http": bind tcp://0.0.0.0:80: ..."
//
// A message is `operation object: reason (numbers)`: the lowest layer names the system call and its
// object, each layer above adds one prefix. Threads: any.
#ifndef ZDD_BASE_STATUS_H_
#define ZDD_BASE_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace zdd {

// The status for a failed system call; its code is what a caller would act on: EMFILE is
// ResourceExhausted, ECONNREFUSED is Unavailable, EADDRINUSE is AlreadyExists, and what has no
// better one is Internal. REQUIRES: error != 0.
absl::Status ErrnoStatus(int error, absl::string_view operation_and_object);

// The same code and payloads with `prefix: ` before the message. Ok stays Ok.
absl::Status Annotate(const absl::Status& status, absl::string_view prefix);

}  // namespace zdd

#endif  // ZDD_BASE_STATUS_H_
