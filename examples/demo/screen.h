// Screen is what a person watches while the demo runs: lines that stay, and on a terminal a last
// line that changes.
//
//   screen.Say("v2  answered 12 ms after the signal");
//   screen.Progress("3 of 10 ...");            // only on a terminal
//
// Threads: one.
#ifndef EXAMPLES_DEMO_SCREEN_H_
#define EXAMPLES_DEMO_SCREEN_H_

#include "absl/strings/string_view.h"

namespace demo {

class Screen {
 public:
  Screen();
  ~Screen() { Progress(""); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void Say(absl::string_view line);
  void Progress(absl::string_view line);

 private:
  const bool is_terminal_;
};

}  // namespace demo

#endif  // EXAMPLES_DEMO_SCREEN_H_
