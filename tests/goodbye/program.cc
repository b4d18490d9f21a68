#include "tests/goodbye/program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace zdd {
namespace {

constexpr absl::string_view kExit = "exit status ";

}  // namespace

Program::Program(const std::string& path, const std::string& package,
                 const std::string& arguments) {
  if (access(path.c_str(), X_OK) != 0) {
    ADD_FAILURE() << "no " << path << ": install the Debian package " << package;
    return;
  }
  // Its status by its output: whoever waits for any child of the test may collect it first.
  pipe_ =
      popen(absl::StrCat("{ ", path, " ", arguments, "; } 2>&1; echo ", kExit, "$?").c_str(), "re");
  EXPECT_NE(pipe_, nullptr);
}

Program::~Program() { AwaitExit(); }

std::string Program::Line() {
  char line[4096];
  if (pipe_ == nullptr || fgets(line, sizeof(line), pipe_) == nullptr) return "";
  const absl::string_view text(line);
  const size_t exit = text.find(kExit);
  output_ += std::string(text.substr(0, exit));
  if (exit == absl::string_view::npos) return line;
  (void)absl::SimpleAtoi(text.substr(exit + kExit.size()), &status_);
  return "";
}

int Program::AwaitExit() {
  while (!Line().empty()) {
  }
  if (pipe_ != nullptr) pclose(std::exchange(pipe_, nullptr));
  return status_;
}

}  // namespace zdd
