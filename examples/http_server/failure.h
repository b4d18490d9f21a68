// Failures on purpose: what a bad version may do, so that tests and the demo can show what becomes
// of it. Named by --fail, or by the content of the file --fail_file, if that exists at start.
//
//   exit               ends at once, with exit code 3
//   crash              SIGSEGV before it is ready
//   hang               stops before it is ready, and says nothing
//   notready           never gets ready
//   crash_after_ready  as a successor: SIGSEGV when it has served for 0.3 s
//
// Threads: main().
#ifndef EXAMPLES_HTTP_SERVER_FAILURE_H_
#define EXAMPLES_HTTP_SERVER_FAILURE_H_

#include "absl/status/status.h"

namespace example {

enum class Failure { kNone, kExit, kCrash, kHang, kNotReady, kCrashAfterReady };

// Exits with code 2 if the flags name no failure that there is.
Failure FailureFromFlags();

// Each of these does what `failure` asks for at that moment, or nothing.
void FailAtStart(Failure failure);
absl::Status FailReadiness(Failure failure);
void FailBeforeReady(Failure failure);
void FailAfterReady(Failure failure, int generation);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_FAILURE_H_
