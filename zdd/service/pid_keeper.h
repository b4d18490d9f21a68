// PidKeeper is the pid file as one generation holds it: written at its commit, and while it owns
// the service written again when it is gone: a full disk has an end, and cleaners remove such
// files.
//
//   PidKeeper pid(log, "/run/hello.pid", getpid());
//   pid.Own();      // at the commit
//   pid.Look();     // from time to time, while serving and not in a handoff
//   pid.Remove();   // the last owner's farewell
//
// Threads: the loop. Lifetime: the log outlives it. With an empty path it does nothing.
// Errors: are logged, each once. `pid_file`: it could not be written, and what stands there
// instead; tried again at each look. `pid_file.remade`: it had gone, or named another process, and
// is there again. A file that is no pid file is left alone.
#ifndef ZDD_SERVICE_PID_KEEPER_H_
#define ZDD_SERVICE_PID_KEEPER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "zdd/base/syscalls.h"
#include "zdd/service/event_log.h"

namespace zdd {

class PidKeeper {
 public:
  PidKeeper(EventLog* log, std::string path, pid_t pid, Syscalls& syscalls = Syscalls::Real());

  void Own();
  void Look();
  void Remove();

 private:
  // Whether it was written.
  bool Write();
  std::string WhatStands() const;
  void TellOnce(Severity severity, absl::string_view event, std::string message);

  EventLog* const log_;
  const std::string path_;
  const pid_t pid_;
  Syscalls& syscalls_;
  std::string told_;  // the event that was told last, until all is well
};

}  // namespace zdd

#endif  // ZDD_SERVICE_PID_KEEPER_H_
