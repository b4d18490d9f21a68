#include "zdd/service/pid_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/status.h"
#include "zdd/service/small_file.h"

namespace zdd {
namespace {

constexpr size_t kPidFileBytesMax = 32;

absl::Status Fill(int fd, const std::string& text, const std::string& path) {
  ssize_t size = write(fd, text.data(), text.size());
  if (size < 0) return ErrnoStatus(errno, absl::StrCat("write ", path));
  if (static_cast<size_t>(size) < text.size())
    return ErrnoStatus(ENOSPC, absl::StrCat("write ", path));
  if (fchmod(fd, 0644) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", path));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPidFile(const std::string& path) {
  if (!absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(
        "want an absolute path: generations may start in different directories");
  }
  struct stat found;
  if (stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) {
    return absl::InvalidArgumentError("it is a directory, want a file in it");
  }
  const std::string directory = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
  if (faccessat(AT_FDCWD, absl::StrCat(directory, "/").c_str(), W_OK | X_OK, AT_EACCESS) == 0) {
    return absl::OkStatus();
  }
  const absl::Status why = ErrnoStatus(errno, absl::StrCat("write to directory ", directory));
  return absl::InvalidArgumentError(absl::StrCat(
      why.message(), absl::IsNotFound(why)
                         ? absl::StrCat("; mkdir -p ", directory)
                         : absl::StrCat("; uid ", geteuid(), " needs a directory to write to")));
}

absl::Status WritePidFile(const std::string& path, pid_t pid, Syscalls& syscalls) {
  // A name that nobody can foresee, and O_EXCL: no symlink that waits there is followed, even in
  // /tmp. No fsync: after a crash of the machine the pid means nothing.
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  OwnedFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("create ", temporary));
  absl::Cleanup remove = [&] { unlink(temporary.c_str()); };
  fd = AboveStdio(std::move(fd), syscalls);
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("duplicate ", temporary));
  absl::Status filled = Fill(fd.get(), absl::StrCat(pid, "\n"), temporary);
  if (!filled.ok()) return filled;
  if (syscalls.Rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename ", temporary, " to ", path));
  }
  std::move(remove).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<pid_t> ReadPidFile(const std::string& path, Syscalls& syscalls) {
  absl::StatusOr<std::string> text = ReadHead(path, kPidFileBytesMax, syscalls);
  if (!text.ok()) return text.status();
  pid_t named = 0;
  return absl::SimpleAtoi(*text, &named) && named > 0 ? named : 0;
}

absl::Status RemovePidFile(const std::string& path, pid_t pid, Syscalls& syscalls) {
  absl::StatusOr<pid_t> named = ReadPidFile(path, syscalls);
  if (absl::IsNotFound(named.status())) return absl::OkStatus();
  if (!named.ok()) return named.status();
  if (*named != pid) return absl::OkStatus();
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("unlink ", path));
}

}  // namespace zdd
