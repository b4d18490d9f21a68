// The pid file: one line that names the owner of a service, so that `kill -USR2 $(cat hello.pid)`
// reaches the right generation.
//
//   absl::Status fit = zdd::CheckPidFile("/run/hello.pid");                   // at the start
//   absl::Status written = zdd::WritePidFile("/run/hello.pid", getpid());     // at the commit
//   absl::Status removed = zdd::RemovePidFile("/run/hello.pid", getpid());    // the last owner
//
// Threads: any. Errors: those of the system calls, with the path; on failure the old file is still
// there and no other is left behind.
#ifndef ZDD_SERVICE_PID_FILE_H_
#define ZDD_SERVICE_PID_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zdd/base/syscalls.h"

namespace zdd {

// Whether WritePidFile() could do its work now: what is wrong is to be told before the commit, when
// nobody would see it. InvalidArgument, with the path and the cure.
absl::Status CheckPidFile(const std::string& path);

// Renames a new file with mode 0644 into place: readers see the old pid or the new one, never half
// a line.
absl::Status WritePidFile(const std::string& path, pid_t pid,
                          Syscalls& syscalls = Syscalls::Real());

// Whom it names; 0 if it holds something else. NotFound if there is none.
absl::StatusOr<pid_t> ReadPidFile(const std::string& path, Syscalls& syscalls = Syscalls::Real());

// Removes the file if it names `pid`. Ok if it is gone, or names somebody else by now.
absl::Status RemovePidFile(const std::string& path, pid_t pid,
                           Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_SERVICE_PID_FILE_H_
