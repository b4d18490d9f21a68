// The rule for Options::name, which becomes part of file names and of ZDD_CHANNELS.
//
//   absl::Status named = zdd::CheckServiceName("hello");
//
// Threads: any. Errors: InvalidArgument, with the name, its first wrong byte or its length, and the
// rule.
#ifndef ZDD_SERVICE_SERVICE_NAME_H_
#define ZDD_SERVICE_SERVICE_NAME_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "zdd/handoff/frames.h"  // kServiceNameBytesMax

namespace zdd {

// Ok for 1 to kServiceNameBytesMax bytes of [a-z0-9_.-].
absl::Status CheckServiceName(absl::string_view name);

}  // namespace zdd

#endif  // ZDD_SERVICE_SERVICE_NAME_H_
