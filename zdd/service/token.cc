#include "zdd/service/token.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "zdd/base/status.h"
#include "zdd/base/syscalls.h"

namespace zdd {

absl::StatusOr<Token> Token::Create() {
  OwnedFd fd = AboveStdio(OwnedFd(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!fd.valid()) return ErrnoStatus(errno, "eventfd for the token");
  return Token(std::move(fd));
}

absl::StatusOr<Token> Token::Adopt(OwnedFd fd) {
  char target[64] = {};
  ssize_t size =
      readlink(absl::StrCat("/proc/self/fd/", fd.get()).c_str(), target, sizeof(target) - 1);
  if (size > 0 && absl::string_view(target) != "anon_inode:[eventfd]") {
    return absl::DataLossError(
        absl::StrCat("receive the token: got ", target, ", want an eventfd"));
  }
  // A blocking one would let us wait for ever on finding it empty.
  int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return ErrnoStatus(errno, "fcntl token");
  return Token(std::move(fd));
}

bool Token::Take() {
  uint64_t value = 0;
  return read(fd_.get(), &value, sizeof(value)) == sizeof(value);
}

}  // namespace zdd
