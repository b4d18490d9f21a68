#include "zdd/migration/sealed_state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr int kContentSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

}  // namespace

absl::StatusOr<OwnedFd> SealState(absl::string_view state, Syscalls& syscalls) {
  OwnedFd memfd = AboveStdio(
      OwnedFd(syscalls.MemfdCreate("zdd state", MFD_CLOEXEC | MFD_ALLOW_SEALING)), syscalls);
  if (!memfd.valid()) return ErrnoStatus(errno, "memfd_create state");
  for (size_t written = 0; written < state.size();) {
    const ssize_t bytes = write(memfd.get(), state.data() + written, state.size() - written);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return ErrnoStatus(errno, "write state");
    written += static_cast<size_t>(bytes);
  }
  if (fcntl(memfd.get(), F_ADD_SEALS, kContentSeals | F_SEAL_SEAL) != 0)
    return ErrnoStatus(errno, "seal state");
  return memfd;
}

absl::StatusOr<std::string> ReadSealedState(int memfd, size_t size) {
  const int seals = fcntl(memfd, F_GET_SEALS);  // EINVAL for whatever is no memfd
  if (seals < 0 || (seals & kContentSeals) != kContentSeals) {
    return absl::DataLossError(
        absl::StrCat("read state: it is in no sealed memfd (seals ", seals, ")"));
  }
  struct stat stat;
  if (fstat(memfd, &stat) != 0) return ErrnoStatus(errno, "stat state");
  if (static_cast<size_t>(stat.st_size) != size) {
    return absl::DataLossError(
        absl::StrCat("read state: got ", stat.st_size, " bytes, want ", size));
  }
  std::string state(size, '\0');
  for (size_t done = 0; done < size;) {
    const ssize_t bytes = pread(memfd, &state[done], size - done, static_cast<off_t>(done));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return ErrnoStatus(errno, "read state");
    if (bytes == 0) return absl::DataLossError("read state: it ends early");
    done += static_cast<size_t>(bytes);
  }
  return state;
}

}  // namespace zdd
