// Ending is what the socket told about the end of a request; OutcomeOf says what that means. Pure.
#ifndef TESTS_LOAD_ENDING_H_
#define TESTS_LOAD_ENDING_H_

#include <cstdint>

#include "tests/load/report.h"

namespace zdd {

enum class Ending { kAnswered, kRefused, kReset, kEof, kTimeout, kWrong, kUntried };

// What a failed connect() or recv() means.
Ending EndingOfError(int error);

// `reused`: the connection has answered earlier requests. `answer_bytes`: that came of the answer
// to this one.
LoadOutcome OutcomeOf(Ending ending, bool reused, int64_t answer_bytes);

}  // namespace zdd

#endif  // TESTS_LOAD_ENDING_H_
