#include "tests/load/ending.h"

#include <errno.h>

namespace zdd {

Ending EndingOfError(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
      return Ending::kReset;
    case ETIMEDOUT:
      return Ending::kTimeout;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:  // every local port is taken
      return Ending::kUntried;
    default:  // ECONNREFUSED, ENOENT of a Unix socket, unreachable networks
      return Ending::kRefused;
  }
}

LoadOutcome OutcomeOf(Ending ending, bool reused, int64_t answer_bytes) {
  const bool raced = reused && answer_bytes == 0;
  switch (ending) {
    case Ending::kAnswered:
      return LoadOutcome::kOk;
    case Ending::kRefused:
      return LoadOutcome::kRefused;
    case Ending::kReset:
      return raced ? LoadOutcome::kRaced : LoadOutcome::kReset;
    case Ending::kEof:
      return raced ? LoadOutcome::kRaced : LoadOutcome::kCut;
    case Ending::kTimeout:
      return LoadOutcome::kTimedOut;
    case Ending::kWrong:
      return LoadOutcome::kWrong;
    case Ending::kUntried:
      return LoadOutcome::kUntried;
  }
  return LoadOutcome::kWrong;
}

}  // namespace zdd
