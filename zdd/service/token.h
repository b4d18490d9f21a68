// Token settles who owns the service: an eventfd with the value 1 that both generations hold.
// Whoever reads it has decided.
//
//   absl::StatusOr<Token> token = Token::Create();
//   bool mine = token->Take();                 // true for exactly one of all who ever try
//
// eventfd(2): a read takes the whole value at once, so exactly one reader finds it. What makes it
// better than a message: it is decided in the kernel, whoever sleeps or dies in between.
//
// Threads: any. Lifetime: the kernel object lives while one side holds it.
#ifndef ZDD_SERVICE_TOKEN_H_
#define ZDD_SERVICE_TOKEN_H_

#include "absl/status/statusor.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

class Token {
 public:
  static absl::StatusOr<Token> Create();
  // One that came from the predecessor. DataLoss if it is no eventfd.
  static absl::StatusOr<Token> Adopt(OwnedFd fd);

  bool Take();
  int fd() const { return fd_.get(); }

 private:
  explicit Token(OwnedFd fd) : fd_(std::move(fd)) {}
  OwnedFd fd_;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_TOKEN_H_
