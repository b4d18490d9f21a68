#include "examples/demo/screen.h"

#include <stdio.h>
#include <unistd.h>

namespace demo {
namespace {

constexpr char kToStartAndErase[] = "\r\x1b[K";

void Put(absl::string_view text) { fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

Screen::Screen() : is_terminal_(isatty(STDOUT_FILENO)) {}

void Screen::Say(absl::string_view line) {
  if (is_terminal_) Put(kToStartAndErase);
  Put(line);
  Put("\n");
  fflush(stdout);
}

void Screen::Progress(absl::string_view line) {
  if (!is_terminal_) return;
  Put(kToStartAndErase);
  Put(line);
  fflush(stdout);
}

}  // namespace demo
