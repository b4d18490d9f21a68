// FdAudit fails the test in whose scope it stands if a descriptor was leaked, or one too many was
// closed, between its construction and its end.
//
//   class SocketTest : public ::testing::Test {
//     FdAudit audit_;        // the first member: it is destroyed when the others are gone
//   };
//
// Threads: the test's own; others must not open or close descriptors at its two ends.
#ifndef TESTS_UTIL_FD_AUDIT_H_
#define TESTS_UTIL_FD_AUDIT_H_

#include <map>
#include <string>

namespace zdd {

// Each open descriptor of this process, and what it is: "socket:[4711]", "/dev/null".
std::map<int, std::string> OpenFds();

class FdAudit {
 public:
  FdAudit() : before_(OpenFds()) {}
  ~FdAudit();
  FdAudit(const FdAudit&) = delete;
  FdAudit& operator=(const FdAudit&) = delete;

 private:
  const std::map<int, std::string> before_;
};

}  // namespace zdd

#endif  // TESTS_UTIL_FD_AUDIT_H_
