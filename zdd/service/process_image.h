// ProcessImage is what this process was started with, so that a successor can be started the same
// way: words, environment and working directory, as strings.
//
//   const zdd::ProcessImage image = zdd::ProcessImage::Record();    // in Create, before threads
//   std::string program = zdd::ResolveProgram(image.argv[0], image);
//   // "/srv/current/server": whatever that leads to now, not where it led at the start
//
// Strings, since a descriptor of the directory or of the program would pin the old release behind a
// `current` symlink.
//
// Threads: Record() reads environ, so no other thread may call setenv() meanwhile. Else a value.
#ifndef ZDD_SERVICE_PROCESS_IMAGE_H_
#define ZDD_SERVICE_PROCESS_IMAGE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace zdd {

struct ProcessImage {
  // From /proc/self/cmdline. Empty if that cannot be read.
  std::vector<std::string> argv;
  // "NAME=value" each.
  std::vector<std::string> environment;
  // $PWD where it names the working directory (it keeps symlinks as they were typed), else what
  // getcwd() says. Empty if the directory was gone: a child then inherits it as it is.
  std::string working_directory;

  static ProcessImage Record();

  // As if it had been started in `path`; $PWD says so too.
  void MoveTo(absl::string_view path);

  // The value of a variable of `environment`; the first one counts, as for getenv(). Points into
  // this object.
  absl::optional<absl::string_view> Variable(absl::string_view name) const;
};

// The absolute path of the program that execvp(word) would start in `image`: a word with a slash is
// taken from the working directory, one without is looked for in PATH (by default /bin:/usr/bin).
// Symlinks stay unresolved. Asks the file system anew each time; empty if PATH has no such
// executable, or if the word is relative and the working directory unknown.
std::string ResolveProgram(absl::string_view word, const ProcessImage& image);

}  // namespace zdd

#endif  // ZDD_SERVICE_PROCESS_IMAGE_H_
