// Ask is what zdd asks of one connection while its service drains, in this order; each at most
// once, never a lower one after a higher one.
//
//   kMigrate        move to the successor at the next quiet point. Answers go on as before.
//   kGoodbye        say your protocol's goodbye: `Connection: close` in the next response, GOAWAY.
//   kCloseWhenIdle  close at once if no request is in hand; it came `grace` after the goodbye.
//   kCloseNow       the deadline: close, whatever is in hand.
//
// Moving comes before the goodbye: a connection that was asked to move and is refused must still
// hear the goodbye, while nobody moves a connection that said goodbye already. So "shall this
// response say close?" is one compare with kGoodbye.
//
// Threads: a value.
#ifndef ZDD_DRAIN_ASK_H_
#define ZDD_DRAIN_ASK_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace zdd {

enum class Ask : uint8_t { kNone, kMigrate, kGoodbye, kCloseWhenIdle, kCloseNow };

constexpr int kAskCount = 5;

// As metrics and JSON say it: "none", "migrate", "goodbye", "close_when_idle", "close_now".
inline absl::string_view AskName(Ask ask) {
  switch (ask) {
    case Ask::kNone:
      return "none";
    case Ask::kMigrate:
      return "migrate";
    case Ask::kGoodbye:
      return "goodbye";
    case Ask::kCloseWhenIdle:
      return "close_when_idle";
    case Ask::kCloseNow:
      return "close_now";
  }
  return "unknown";
}

}  // namespace zdd

#endif  // ZDD_DRAIN_ASK_H_
