#include "tests/util/fd_audit.h"

#include <dirent.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "gtest/gtest.h"

namespace zdd {

std::map<int, std::string> OpenFds() {
  std::map<int, std::string> fds;
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return fds;
  while (const dirent* entry = readdir(directory)) {
    int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(directory)) continue;
    char target[PATH_MAX];
    ssize_t size = readlinkat(dirfd(directory), entry->d_name, target, sizeof target);
    fds[fd] = std::string(target, size < 0 ? 0 : size);
  }
  closedir(directory);
  return fds;
}

FdAudit::~FdAudit() {
  std::map<int, std::string> after = OpenFds();
  for (const auto& [fd, what] : after) {
    if (before_.count(fd) == 0) ADD_FAILURE() << "fd " << fd << " leaked: " << what;
  }
  for (const auto& [fd, what] : before_) {
    if (after.count(fd) == 0) {
      ADD_FAILURE() << "fd " << fd << " was closed, though it was open before: " << what;
    }
  }
}

}  // namespace zdd
