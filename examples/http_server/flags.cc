#include "examples/http_server/flags.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace example {
namespace {

void ParseFlag(absl::string_view word) {
  if (!absl::StartsWith(word, "--") || !absl::StrContains(word, '=')) {
    DieOfFlag(absl::StrCat("\"", word, "\" is not of the form --name=value"));
  }
  std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(absl::StripPrefix(word, "--"), absl::MaxSplits('=', 1));
  absl::CommandLineFlag* flag = absl::FindCommandLineFlag(parts.first);
  if (flag == nullptr) DieOfFlag(absl::StrCat("there is no flag --", parts.first, ": see --help"));
  std::string error;
  if (!flag->ParseFrom(parts.second, &error)) DieOfFlag(error);
}

}  // namespace

void ParseFlags(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (absl::StartsWith(argv[i], "--help")) absl::ParseCommandLine(argc, argv);  // tells, exits
    ParseFlag(argv[i]);
  }
}

void DieOfFlag(absl::string_view message) {
  std::fprintf(stderr, "flags: %s\n", std::string(message).c_str());
  std::exit(2);
}

std::string ReadFileIfAny(const std::string& path) {
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace example
