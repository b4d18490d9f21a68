#include "zdd/service/process_image.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "zdd/service/small_file.h"

namespace zdd {
namespace {

// execvp(3) without PATH.
constexpr absl::string_view kDefaultPath = "/bin:/usr/bin";

// Twice what execve() takes by default (a quarter of the 8 MiB stack).
constexpr size_t kCommandLineBytesMax = 4 << 20;

std::vector<std::string> CommandLine() {
  absl::StatusOr<std::string> text = ReadHead("/proc/self/cmdline", kCommandLineBytesMax);
  if (!text.ok() || text->empty() || text->size() == kCommandLineBytesMax) return {};
  // Each word ends with a zero byte, the last one too; empty words are words.
  return absl::StrSplit(absl::StripSuffix(*text, absl::string_view("\0", 1)), '\0');
}

std::vector<std::string> Environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    variables.emplace_back(*variable);
  }
  return variables;
}

std::string WorkingDirectory() {
  // Believes $PWD if that leads to the same directory.
  std::unique_ptr<char, decltype(&std::free)> directory(get_current_dir_name(), &std::free);
  return directory == nullptr ? "" : directory.get();
}

// `path` as seen from `directory`. Without the "./" that people type, but otherwise as it is.
std::string Below(absl::string_view directory, absl::string_view path) {
  if (absl::StartsWith(path, "/")) return std::string(path);
  while (absl::ConsumePrefix(&path, "./")) {
  }
  if (path.empty()) return std::string(directory);
  return absl::StrCat(absl::StripSuffix(directory, "/"), "/", path);
}

bool IsExecutable(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

}  // namespace

ProcessImage ProcessImage::Record() { return {CommandLine(), Environment(), WorkingDirectory()}; }

void ProcessImage::MoveTo(absl::string_view path) {
  working_directory = std::string(path);
  for (std::string& variable : environment) {
    if (absl::StartsWith(variable, "PWD=")) variable = absl::StrCat("PWD=", path);
  }
}

absl::optional<absl::string_view> ProcessImage::Variable(absl::string_view name) const {
  for (absl::string_view variable : environment) {
    if (absl::ConsumePrefix(&variable, name) && absl::ConsumePrefix(&variable, "=")) {
      return variable;
    }
  }
  return absl::nullopt;
}

std::string ResolveProgram(absl::string_view word, const ProcessImage& image) {
  const std::string& here = image.working_directory;
  if (word.empty()) return "";
  if (absl::StrContains(word, '/')) {
    return here.empty() && word.front() != '/' ? "" : Below(here, word);
  }
  absl::string_view path = image.Variable("PATH").value_or(kDefaultPath);
  for (absl::string_view directory : absl::StrSplit(path, ':')) {  // an empty one means "here"
    if (here.empty() && !absl::StartsWith(directory, "/")) continue;
    std::string candidate = Below(Below(here, directory), word);
    if (IsExecutable(candidate)) return candidate;
  }
  return "";
}

}  // namespace zdd
