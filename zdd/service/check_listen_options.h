// What Service::Listen was given, looked at before anything is made of it.
//
//   absl::Status status = zdd::CheckListenOptions("http", options);
//   // "listener \"http\": backlog is 0, want 1 or more"
//
// Threads: any; pure. Errors: InvalidArgument, with the listener, the field, its value and what
// would be right.
#ifndef ZDD_SERVICE_CHECK_LISTEN_OPTIONS_H_
#define ZDD_SERVICE_CHECK_LISTEN_OPTIONS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "zdd/service/options.h"

namespace zdd {

absl::Status CheckListenOptions(absl::string_view name, const ListenOptions& options);

}  // namespace zdd

#endif  // ZDD_SERVICE_CHECK_LISTEN_OPTIONS_H_
