#include "zdd/base/free_fds.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>

namespace zdd {
namespace {

int WalkOpenFds() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return -1;
  int open = -3;  // ".", ".." and the directory itself
  while (readdir(directory) != nullptr) ++open;
  closedir(directory);
  return open;
}

// -1 if it cannot be known.
int CountOpenFds() {
  struct stat stat_fd;
  // proc_pid_fd(5): the size is the number of open descriptors, and was 0 before Linux 6.2.
  if (stat("/proc/self/fd", &stat_fd) == 0 && stat_fd.st_size > 0)
    return static_cast<int>(stat_fd.st_size);
  return WalkOpenFds();
}

}  // namespace

int FreeFds() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const int open = CountOpenFds();
  if (open < 0) return 0;
  const rlim_t max = std::min<rlim_t>(limit.rlim_cur, 1 << 30);
  return std::max(0, static_cast<int>(max) - open);
}

}  // namespace zdd
