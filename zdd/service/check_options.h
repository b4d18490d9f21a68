// CheckOptions says what is wrong with Options, before anything is begun.
//
// It looks at the file system (pid_file), and changes nothing there.
//
// Threads: any. Errors: InvalidArgument, with the field, its value, and what would be right.
#ifndef ZDD_SERVICE_CHECK_OPTIONS_H_
#define ZDD_SERVICE_CHECK_OPTIONS_H_

#include "absl/status/status.h"
#include "zdd/service/options.h"

namespace zdd {

absl::Status CheckOptions(const Options& options);

}  // namespace zdd

#endif  // ZDD_SERVICE_CHECK_OPTIONS_H_
