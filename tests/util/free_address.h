// An address of this host on which nobody listens, for a server that is to be told one.
//
//   absl::StatusOr<std::string> address = FreeAddress();      // "tcp://127.0.0.1:40123"
//
// Threads: any. Errors: what the system call says.
#ifndef TESTS_UTIL_FREE_ADDRESS_H_
#define TESTS_UTIL_FREE_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace zdd {

// Its port was free a moment ago.
absl::StatusOr<std::string> FreeAddress();

}  // namespace zdd

#endif  // TESTS_UTIL_FREE_ADDRESS_H_
