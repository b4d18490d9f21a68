// OwnedFd owns one file descriptor and closes it exactly once.
//
//   zdd::OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
//   if (!fd.valid()) return zdd::ErrnoStatus(errno, "socket tcp");
//   Take(std::move(fd));                  // an OwnedFd parameter takes, an `int fd` parameter
//   borrows for the call
//
// Threads: one at a time, as an int. Lifetime: none beyond the object.
// Errors: close() is never retried. On Linux the descriptor is gone whatever close() answers
// (close(2), "Dealing with error returns"); a second try could close a stranger's.
#ifndef ZDD_BASE_OWNED_FD_H_
#define ZDD_BASE_OWNED_FD_H_

#include <utility>

namespace zdd {

class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() { Reset(); }
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.Release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = other.Release();
    }
    return *this;
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  explicit operator bool() const = delete;  // 0 is a valid fd: ask valid()

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives the descriptor away: the caller closes it.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

  // Closes it now.
  void Reset();

 private:
  int fd_ = -1;
};

// A new descriptor (close-on-exec, numbered 3 or higher) for the same open file description.
// Invalid, with errno set, if none is to be had.
OwnedFd Duplicate(int fd);

}  // namespace zdd

#endif  // ZDD_BASE_OWNED_FD_H_
