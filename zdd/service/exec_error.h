// Why a program could not be started, and what to do about it: errno of exec says little.
//
//   absl::Status failed = zdd::ExecError(errno, "/srv/current/server");
//   // "start /srv/current/server: No such file or directory (ENOENT): its interpreter /bin/zsh is
//   missing"
//
// Looks at the file, which may have changed since.
//
// Threads: any. Errors: spawn.h lists the codes.
#ifndef ZDD_SERVICE_EXEC_ERROR_H_
#define ZDD_SERVICE_EXEC_ERROR_H_

#include <string>

#include "absl/status/status.h"

namespace zdd {

// The status for `error` of execve(program), or of posix_spawn() where nothing but the exec can
// have failed in the child. Never Ok.
absl::Status ExecError(int error, const std::string& program);

}  // namespace zdd

#endif  // ZDD_SERVICE_EXEC_ERROR_H_
