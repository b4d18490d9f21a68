#include "zdd/service/pid_keeper.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "zdd/service/pid_file.h"

namespace zdd {

PidKeeper::PidKeeper(EventLog* log, std::string path, pid_t pid, Syscalls& syscalls)
    : log_(log), path_(std::move(path)), pid_(pid), syscalls_(syscalls) {}

void PidKeeper::Own() {
  if (!path_.empty() && Write()) told_.clear();
}

void PidKeeper::Look() {
  if (path_.empty()) return;
  const absl::StatusOr<pid_t> named = ReadPidFile(path_);
  if (named.ok() && *named == pid_) return told_.clear();
  const bool gone = absl::IsNotFound(named.status());
  const bool another = named.ok() && *named > 0;
  if ((!gone && !another) || !Write()) return;
  // Two services with one pid file would go on like this for ever, so it is told once.
  const std::string loss = gone ? "it was not there" : absl::StrCat("it named pid ", *named);
  TellOnce(Severity::kWarning, "pid_file.remade",
           absl::StrCat("pid file ", path_, ": ", loss, "; written again"));
}

void PidKeeper::Remove() {
  if (path_.empty()) return;
  const absl::Status removed = RemovePidFile(path_, pid_);
  if (!removed.ok()) log_->Warning("pid_file", removed.ToString());
}

bool PidKeeper::Write() {
  const absl::Status written = WritePidFile(path_, pid_, syscalls_);
  if (written.ok()) return true;
  TellOnce(Severity::kError, "pid_file",
           absl::StrCat("pid file: ", written.message(), "; ", WhatStands(),
                        " for now; it is tried again from time to time"));
  return false;
}

std::string PidKeeper::WhatStands() const {
  const absl::StatusOr<pid_t> named = ReadPidFile(path_);
  if (absl::IsNotFound(named.status())) return absl::StrCat("there is no ", path_);
  if (!named.ok() || *named == 0) return absl::StrCat(path_, " names nobody");
  return absl::StrCat(path_, " names pid ", *named);
}

void PidKeeper::TellOnce(Severity severity, absl::string_view event, std::string message) {
  if (told_ == event) return;
  told_ = std::string(event);
  if (severity == Severity::kError) return log_->Error(event, std::move(message));
  log_->Warning(event, std::move(message));
}

}  // namespace zdd
