// Reading the beginning of a small file: a pid file, /proc/self/cmdline, the first line of a
// script.
//
//   absl::StatusOr<std::string> head = zdd::ReadHead("/run/hello.pid", 32);
//
// Threads: any. Errors: those of open and read, with the path. A FIFO is not waited for.
#ifndef ZDD_SERVICE_SMALL_FILE_H_
#define ZDD_SERVICE_SMALL_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "zdd/base/syscalls.h"

namespace zdd {

// At most `bytes_max` bytes from the start of the file.
absl::StatusOr<std::string> ReadHead(const std::string& path, size_t bytes_max,
                                     Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_SERVICE_SMALL_FILE_H_
