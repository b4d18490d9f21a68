#include "examples/http_server/failure.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "examples/http_server/flags.h"

ABSL_FLAG(std::string, fail, "", "a failure on purpose; see failure.h");
ABSL_FLAG(std::string, fail_file, "", "if it exists at start, its content goes before --fail");

namespace example {
namespace {

constexpr int kExitCode = 3;
constexpr std::chrono::milliseconds kServedBeforeCrash(300);

struct Name {
  absl::string_view text;
  Failure failure;
};

constexpr Name kNames[] = {
    {"", Failure::kNone},
    {"exit", Failure::kExit},
    {"crash", Failure::kCrash},
    {"hang", Failure::kHang},
    {"notready", Failure::kNotReady},
    {"crash_after_ready", Failure::kCrashAfterReady},
};

}  // namespace

Failure FailureFromFlags() {
  const std::string in_file = ReadFileIfAny(absl::GetFlag(FLAGS_fail_file));
  const std::string chosen = in_file.empty() ? absl::GetFlag(FLAGS_fail) : in_file;
  for (const Name& name : kNames) {
    if (name.text == chosen) return name.failure;
  }
  DieOfFlag(absl::StrCat("--fail: no failure is called \"", chosen,
                         "\": say exit, crash, hang, notready or crash_after_ready"));
}

void FailAtStart(Failure failure) {
  if (failure == Failure::kExit) _exit(kExitCode);
}

absl::Status FailReadiness(Failure failure) {
  return failure == Failure::kNotReady ? absl::UnavailableError("not today") : absl::OkStatus();
}

void FailBeforeReady(Failure failure) {
  if (failure == Failure::kCrash) raise(SIGSEGV);
  while (failure == Failure::kHang) pause();
}

void FailAfterReady(Failure failure, int generation) {
  if (failure != Failure::kCrashAfterReady || generation == 1) return;
  std::thread([] {
    std::this_thread::sleep_for(kServedBeforeCrash);
    raise(SIGSEGV);
  }).detach();
}

}  // namespace example
