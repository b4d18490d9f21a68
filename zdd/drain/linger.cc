#include "zdd/drain/linger.h"

#include <errno.h>
#include <sys/socket.h>

namespace zdd {
namespace {

constexpr int kReads = 4;
constexpr size_t kReadBytes = 16 * 1024;

}  // namespace

bool EndOurDirection(int fd) { return shutdown(fd, SHUT_WR) == 0; }

absl::optional<LingerResult::End> Discard(int fd, int64_t bytes_max, int64_t* discarded) {
  char buffer[kReadBytes];
  for (int i = 0; i < kReads; ++i) {
    const ssize_t bytes = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (bytes == 0) return LingerResult::End::kClean;
    if (bytes < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return absl::nullopt;
      return LingerResult::End::kReset;
    }
    *discarded += bytes;
    if (*discarded >= bytes_max) return LingerResult::End::kTooMuch;
  }
  return absl::nullopt;
}

}  // namespace zdd
