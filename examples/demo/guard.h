// RunGuarded leaves nothing behind. It runs `body` in a child process, with a directory of its own,
// and when that child has ended, in whatever way, ends every process that it has started, directly
// or not, and removes the directory.
//
//   int main() {
//     return demo::RunGuarded([](const std::string& directory) { return Perform(directory); });
//   }
//
// Generations of a server outlive each other on purpose, so killing a child would not do: the guard
// is the subreaper to whom the orphans fall (prctl(2), PR_SET_CHILD_SUBREAPER). If the guard itself
// is killed, its child is too, and with it goes the demo; only then may a server be left.
//
// Threads: none may run yet. SIGINT, SIGTERM and SIGHUP end it early, with 128 + signal.
#ifndef EXAMPLES_DEMO_GUARD_H_
#define EXAMPLES_DEMO_GUARD_H_

#include <string>

#include "absl/functional/function_ref.h"

namespace demo {

int RunGuarded(absl::FunctionRef<int(const std::string& directory)> body);

}  // namespace demo

#endif  // EXAMPLES_DEMO_GUARD_H_
