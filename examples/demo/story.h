// Story is the demo's course: a server under load, upgraded again and again, then by versions that
// fail.
//
//   absl::StatusOr<Summary> summary = Tell(options, &server, &screen);
//
// Threads: one. Errors: what went otherwise than promised, apart from losses: those are counted.
#ifndef EXAMPLES_DEMO_STORY_H_
#define EXAMPLES_DEMO_STORY_H_

#include "absl/status/statusor.h"
#include "examples/demo/deployment.h"
#include "examples/demo/screen.h"
#include "examples/demo/summary.h"

namespace demo {

struct StoryOptions {
  int restarts = 10;
  bool brief = false;  // half of the time, and of the load
};

absl::StatusOr<Summary> Tell(const StoryOptions& options, Deployment* server, Screen* screen);

}  // namespace demo

#endif  // EXAMPLES_DEMO_STORY_H_
