#include "zdd/base/owned_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/forked_child.h"
#include "zdd/base/faulty_syscalls.h"
#include "zdd/base/syscalls.h"

namespace zdd {
namespace {

int OpenNull() { return open("/dev/null", O_RDWR | O_CLOEXEC); }

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

class OwnedFdTest : public ::testing::Test {
 protected:
  FdAudit audit_;
};

TEST_F(OwnedFdTest, ADefaultOneOwnsNothing) {
  OwnedFd fd;
  EXPECT_FALSE(fd.valid());
  EXPECT_EQ(fd.get(), -1);
  fd.Reset();
  EXPECT_EQ(fd.Release(), -1);
}

TEST_F(OwnedFdTest, TheDescriptorIsClosedAtTheEndOfItsScope) {
  int number;
  {
    OwnedFd fd(OpenNull());
    number = fd.get();
    EXPECT_TRUE(fd.valid());
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST_F(OwnedFdTest, ZeroIsADescriptorLikeAnyOther) {
  ForkedChild child([] {
    close(0);
    {
      OwnedFd fd(OpenNull());
      if (fd.get() != 0 || !fd.valid()) return 1;
    }
    return IsOpen(0) ? 2 : 0;
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(OwnedFdTest, MovingHandsTheDescriptorOn) {
  OwnedFd from(OpenNull());
  const int number = from.get();
  OwnedFd to(std::move(from));
  EXPECT_FALSE(from.valid());  // NOLINT(bugprone-use-after-move): what is moved from owns nothing
  EXPECT_EQ(to.get(), number);
  OwnedFd other(OpenNull());
  const int closed = other.get();
  other = std::move(to);
  EXPECT_EQ(other.get(), number);
  EXPECT_FALSE(IsOpen(closed));
  EXPECT_TRUE(IsOpen(number));
}

TEST_F(OwnedFdTest, MovingToItselfKeepsIt) {
  OwnedFd fd(OpenNull());
  OwnedFd& same = fd;
  fd = std::move(same);
  EXPECT_TRUE(IsOpen(fd.get()));
}

TEST_F(OwnedFdTest, AReleasedDescriptorIsTheCallersToClose) {
  OwnedFd fd(OpenNull());
  const int number = fd.Release();
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(IsOpen(number));
  close(number);
}

TEST_F(OwnedFdTest, ADuplicateOutlivesItsOriginalAndIsCloseOnExec) {
  OwnedFd fd(OpenNull());
  OwnedFd duplicate = Duplicate(fd.get());
  fd.Reset();
  EXPECT_TRUE(IsOpen(duplicate.get()));
  EXPECT_GE(duplicate.get(), 3);
  EXPECT_TRUE(fcntl(duplicate.get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_FALSE(Duplicate(-1).valid());
  EXPECT_EQ(errno, EBADF);
}

TEST_F(OwnedFdTest, AboveStdioLeavesANumberFromThreeOnAlone) {
  OwnedFd fd(OpenNull());
  const int number = fd.get();
  EXPECT_EQ(AboveStdio(std::move(fd)).get(), number);
}

TEST_F(OwnedFdTest, AboveStdioMovesTheNumbersOfStandardStreams) {
  ForkedChild child([] {
    close(1);
    OwnedFd fd = AboveStdio(OwnedFd(OpenNull()));
    return fd.get() >= 3 && !IsOpen(1) ? 0 : 1;
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(OwnedFdTest, AboveStdioKeepsTheErrnoOfWhatWasInvalid) {
  errno = EMFILE;
  EXPECT_FALSE(AboveStdio(OwnedFd()).valid());
  EXPECT_EQ(errno, EMFILE);
}

TEST_F(OwnedFdTest, AboveStdioWithoutRoomClosesTheOriginal) {
  ForkedChild child([] {
    close(2);
    FaultySyscalls faulty({.kind = Syscall::kDuplicate, .nth = 1, .error = EMFILE});
    OwnedFd fd = AboveStdio(OwnedFd(OpenNull()), faulty);
    return !fd.valid() && errno == EMFILE && !IsOpen(2) ? 0 : 1;
  });
  EXPECT_EQ(child.Wait(), 0);
}

}  // namespace
}  // namespace zdd
