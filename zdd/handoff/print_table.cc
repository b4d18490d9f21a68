// Prints the handoff table: as Markdown, or with --diagram as a Mermaid diagram.
#include <cstdio>

#include "absl/strings/string_view.h"
#include "zdd/handoff/table_text.h"

int main(int argc, char** argv) {
  const bool diagram = argc == 2 && absl::string_view(argv[1]) == "--diagram";
  if (argc > 1 && !diagram) {
    std::fprintf(stderr, "usage: %s [--diagram]\n", argv[0]);
    return 2;
  }
  std::fputs((diagram ? zdd::TableAsMermaid() : zdd::TableAsMarkdown()).c_str(), stdout);
  return 0;
}
