#include "examples/demo/processes.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace demo {
namespace {

struct Stat {
  char state = 0;  // 0: there is no such process
  pid_t parent = 0;
};

// proc(5): "pid (name) state ppid ...", and the name may hold anything, ") " too.
Stat StatOf(absl::string_view pid) {
  const std::string text = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = text.rfind(") ");
  if (name_end == std::string::npos) return {};
  const std::vector<std::string> fields = absl::StrSplit(text.substr(name_end + 2), ' ');
  Stat stat;
  if (fields.size() < 2 || fields[0].empty() || !absl::SimpleAtoi(fields[1], &stat.parent))
    return {};
  stat.state = fields[0][0];
  return stat;
}

}  // namespace

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t child;
    if (!absl::SimpleAtoi(name, &child)) continue;
    const Stat stat = StatOf(name);
    if (stat.state != 0 && stat.parent == pid) children.push_back(child);
  }
  return children;
}

bool IsRunning(pid_t pid) {
  const char state = StatOf(absl::StrCat(pid)).state;
  return state != 0 && state != 'Z' && state != 'X';
}

int64_t ResidentKib(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  std::string word;
  int64_t kib = 0;
  while (status >> word) {
    if (word == "VmRSS:") status >> kib;
  }
  return kib;
}

std::string ReadSmallFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return std::string(absl::StripAsciiWhitespace(text.str()));
}

}  // namespace demo
