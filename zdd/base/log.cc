#include "zdd/base/log.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace zdd {

std::string ToString(const LogEvent& event) {
  return absl::StrCat("zdd ", event.service, ": ", event.message);
}

void LogToStderr(const LogEvent& event) {
  if (event.severity == Severity::kDebug) return;
  std::string line = absl::StrCat(ToString(event), "\n");
  // One write, so that the lines of two generations do not mix. A log that cannot be written has
  // nobody to tell.
  ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
  (void)ignored;
}

}  // namespace zdd
