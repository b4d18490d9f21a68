#include "zdd/service/small_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/status.h"

namespace zdd {

absl::StatusOr<std::string> ReadHead(const std::string& path, size_t bytes_max,
                                     Syscalls& syscalls) {
  OwnedFd fd(syscalls.Open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  std::string text;
  while (text.size() < bytes_max) {
    char chunk[4096];
    ssize_t size = read(fd.get(), chunk, std::min(sizeof chunk, bytes_max - text.size()));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
    if (size == 0) break;
    text.append(chunk, size);
  }
  return text;
}

}  // namespace zdd
