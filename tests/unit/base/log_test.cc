// A log whose reader is stuck costs lines, never time: each of these would hang, if one could wait.
#include "zdd/base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/util/fd_audit.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

LogEvent Event(std::string message, Severity severity = Severity::kInfo) {
  return {severity, "hello", "test", std::move(message), {}};
}

std::string ReadSome(int fd) {
  char buffer[65536];
  const ssize_t size = read(fd, buffer, sizeof(buffer));
  return std::string(buffer, size < 0 ? 0 : size);
}

struct Ends {
  OwnedFd reader;
  OwnedFd writer;
};

Ends Pipe() {
  int fds[2];
  EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
  return {OwnedFd(fds[0]), OwnedFd(fds[1])};
}

// Until it takes not one byte more, by a description of its own.
void Fill(int fd) {
  const OwnedFd own(
      open(absl::StrCat("/proc/self/fd/", fd).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  const std::string much(PIPE_BUF, 'x');
  while (write(own.get(), much.data(), much.size()) > 0) {
  }
  while (write(own.get(), "x", 1) > 0) {
  }
}

class LogTest : public ::testing::Test {
 protected:
  FdAudit audit_;
};

TEST_F(LogTest, OneLineForEachEventButThoseForDebugging) {
  const Ends ends = Pipe();
  LineLog log(ends.writer.get());
  log(Event("first"));
  log(Event("unseen", Severity::kDebug));
  log(Event("second"));
  EXPECT_EQ(ReadSome(ends.reader.get()), "zdd hello: first\nzdd hello: second\n");
}

TEST_F(LogTest, AFullPipeCostsLinesThatAreCounted) {
  const Ends ends = Pipe();
  Fill(ends.writer.get());
  LineLog log(ends.writer.get());
  log(Event("lost"));
  log(Event("lost"));
  EXPECT_EQ(fcntl(ends.writer.get(), F_GETFL) & O_NONBLOCK, 0) << "it belongs to others too";
  while (ReadSome(ends.reader.get()).size() == 65536) fcntl(ends.reader.get(), F_SETFL, O_NONBLOCK);
  log(Event("third"));
  log(Event("fourth"));
  EXPECT_EQ(ReadSome(ends.reader.get()),
            "zdd hello: (2 lines before this one were dropped: nobody read them) third\n"
            "zdd hello: fourth\n");
}

// poll() calls a pipe writable only while a page of it is free, and a line is no longer than that.
TEST_F(LogTest, ALineGoesIntoAnAlmostFullPipeWholeOrNotAtAll) {
  for (const size_t room : {1u, 100u, 4095u, 4096u, 4097u, 8191u}) {
    const Ends ends = Pipe();
    const int size = fcntl(ends.writer.get(), F_GETPIPE_SZ);
    const std::string before(size - room, 'x');
    ASSERT_EQ(write(ends.writer.get(), before.data(), before.size()), ssize_t(before.size()));
    LineLog log(ends.writer.get());
    log(Event(std::string(PIPE_BUF - 20, 'y')));
    ASSERT_EQ(ReadSome(ends.reader.get()).substr(0, before.size()), before);
    log(Event("next"));
    EXPECT_THAT(ReadSome(ends.reader.get()), EndsWith("next\n")) << room;
  }
}

TEST_F(LogTest, ALineThatWouldNotGoOutWholeIsCut) {
  const Ends ends = Pipe();
  LineLog log(ends.writer.get());
  log(Event(std::string(3 * PIPE_BUF, 'y')));
  const std::string line = ReadSome(ends.reader.get());
  EXPECT_EQ(line.size(), PIPE_BUF);
  EXPECT_THAT(line, EndsWith("yyy...\n"));
}

TEST_F(LogTest, APipeWithoutReaderKillsNobody) {
  Ends ends = Pipe();
  ends.reader.Reset();
  LineLog(ends.writer.get())(Event("lost"));
}

TEST_F(LogTest, AFullSocketCostsLinesThatAreCounted) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  const OwnedFd reader(fds[0]);
  const OwnedFd writer(fds[1]);
  const std::string much(PIPE_BUF, 'x');
  while (send(writer.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {
  }
  LineLog log(writer.get());
  log(Event("lost"));
  while (recv(reader.get(), const_cast<char*>(much.data()), much.size(), MSG_DONTWAIT) > 0) {
  }
  log(Event("next"));
  EXPECT_THAT(ReadSome(reader.get()), StartsWith("zdd hello: (1 lines before this one"));
}

TEST_F(LogTest, AStoppedTerminalCostsLinesThatAreCounted) {
  const OwnedFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(grantpt(master.get()) | unlockpt(master.get()), 0);
  const OwnedFd terminal(open(ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  LineLog log(terminal.get());
  ASSERT_EQ(tcflow(terminal.get(), TCOOFF), 0);  // Ctrl-S
  log(Event("lost"));
  ASSERT_EQ(tcflow(terminal.get(), TCOON), 0);
  log(Event("next"));
  EXPECT_THAT(ReadSome(master.get()), HasSubstr("(1 lines before this one"));
}

TEST_F(LogTest, AFileIsAppendedTo) {
  const TempDir dir;
  const std::string path = dir.File("log");
  const OwnedFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  LineLog log(file.get());
  log(Event("first"));
  log(Event("second"));
  std::ifstream in(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}),
            "zdd hello: first\nzdd hello: second\n");
}

TEST_F(LogTest, AClosedDescriptorIsNoError) { LineLog(-1)(Event("lost")); }

}  // namespace
}  // namespace zdd
