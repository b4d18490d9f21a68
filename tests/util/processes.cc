#include "tests/util/processes.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

struct Stat {
  char state = 0;
  pid_t parent = 0;
};

// proc(5): "pid (name) state parent ...", and the name may hold anything, ") " too.
Stat StatOf(pid_t pid) {
  Stat stat;
  std::string text;
  std::getline(std::ifstream(absl::StrCat("/proc/", pid, "/stat")), text);
  const size_t name_end = text.rfind(") ");
  if (name_end != text.npos)
    std::istringstream(text.substr(name_end + 2)) >> stat.state >> stat.parent;
  return stat;
}

}  // namespace

char StateOf(pid_t pid) { return StatOf(pid).state; }

bool IsLiving(pid_t pid) {
  const char state = StateOf(pid);
  return state != 0 && state != 'Z' && state != 'X';
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t child;
    if (absl::SimpleAtoi(entry.path().filename().string(), &child) && StatOf(child).parent == pid) {
      children.push_back(child);
    }
  }
  return children;
}

}  // namespace zdd
