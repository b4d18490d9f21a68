// The command line, by Abseil's flags, with one difference: what is wrong with it ends in exit code
// 2, not 1, so that a supervisor can tell a typing error from a server that failed.
//
//   ABSL_FLAG(std::string, listen, "tcp://127.0.0.1:8080", "where to listen");
//   int main(int argc, char** argv) {
//     example::ParseFlags(argc, argv);
//
// Forms: --name=value and --help.
#ifndef EXAMPLES_HTTP_SERVER_FLAGS_H_
#define EXAMPLES_HTTP_SERVER_FLAGS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace example {

// Returns if all words of `argv` are flags with good values.
void ParseFlags(int argc, char** argv);

// Says what is wrong with a flag, and exits.
[[noreturn]] void DieOfFlag(absl::string_view message);

// What is in the file without the white space at its ends. Empty if there is none.
std::string ReadFileIfAny(const std::string& path);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_FLAGS_H_
