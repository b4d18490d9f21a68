#include "zdd/base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

constexpr char kCut[] = "...\n";

std::string Line(const LogEvent& event, int64_t dropped) {
  std::string line = ToString(event);
  if (dropped > 0) {
    line = absl::StrCat("zdd ", event.service, ": (", dropped,
                        " lines before this one were dropped: nobody read them) ", event.message);
  }
  line += '\n';
  if (line.size() > PIPE_BUF) line.replace(PIPE_BUF - strlen(kCut), line.npos, kCut);
  return line;
}

// Whether a write would neither wait nor, for want of a reader, be answered by SIGPIPE.
bool Writable(int fd) {
  pollfd polled = {fd, POLLOUT, 0};
  return poll(&polled, 1, 0) == 1 && polled.revents == POLLOUT;
}

// The same pipe or terminal with file status flags of its own: O_NONBLOCK on the one that we were
// started with would hold for the shell, and for all generations.
OwnedFd Reopen(int fd) {
  const std::string path = absl::StrCat("/proc/self/fd/", fd);
  return OwnedFd(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

}  // namespace

std::string ToString(const LogEvent& event) {
  return absl::StrCat("zdd ", event.service, ": ", event.message);
}

void LineLog::operator()(const LogEvent& event) {
  if (event.severity == Severity::kDebug) return;
  if (Write(Line(event, dropped_))) {
    dropped_ = 0;
  } else {
    ++dropped_;
  }
}

bool LineLog::Write(const std::string& line) const {
  const auto all = static_cast<ssize_t>(line.size());
  struct stat facts;
  if (fstat(fd_, &facts) != 0) return false;
  if (S_ISREG(facts.st_mode)) return write(fd_, line.data(), line.size()) == all;
  if (S_ISSOCK(facts.st_mode)) {
    return send(fd_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == all;
  }
  if (!Writable(fd_)) return false;
  // Somebody else may fill it before we write. Where it cannot be opened anew (another user's pipe,
  // no descriptor left), that is the risk: a pipe that poll() calls writable has room for PIPE_BUF.
  const OwnedFd own = Reopen(fd_);
  return write(own.valid() ? own.get() : fd_, line.data(), line.size()) == all;
}

LogSink LogToStderr() { return LineLog(STDERR_FILENO); }

}  // namespace zdd
