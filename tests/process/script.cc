#include "tests/process/script.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace zdd {

Script Script::Read(const char* path) {
  Script script;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::pair<std::string, std::string> entry = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    script.lines_.insert(entry);
  }
  return script;
}

std::string Script::Get(const std::string& key, const std::string& otherwise) const {
  auto it = lines_.find(key);
  return it == lines_.end() ? otherwise : it->second;
}

std::vector<std::string> Script::All(const std::string& key) const {
  std::vector<std::string> values;
  auto range = lines_.equal_range(key);
  for (auto it = range.first; it != range.second; ++it) values.push_back(it->second);
  return values;
}

absl::Duration Script::Ms(const std::string& key, int otherwise) const {
  int ms = otherwise;
  if (Has(key) && !absl::SimpleAtoi(Get(key), &ms)) std::abort();
  return absl::Milliseconds(ms);
}

Events::Events(const Script& script) {
  const std::string fifo = script.Get("events");
  if (!fifo.empty()) fd_ = open(fifo.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
  for (const std::string& line : script.All("at")) {
    std::pair<std::string, std::string> fault = absl::StrSplit(line, ' ');
    faults_.insert(fault);
  }
}

void Events::Tell(absl::string_view event, absl::string_view message) {
  std::string line = absl::StrCat(getpid(), " ", event, " ", message);
  for (char& c : line) c = c == '\n' ? ' ' : c;
  line.resize(std::min<size_t>(line.size(), PIPE_BUF - 1));
  line += '\n';
  if (fd_ >= 0 && write(fd_, line.data(), line.size()) < 0) std::abort();
  auto it = faults_.find(std::string(event));
  if (it == faults_.end()) return;
  std::string fault = it->second;
  faults_.erase(it);
  Do(fault);
}

void Events::Do(const std::string& fault) {
  if (fault == "kill") raise(SIGKILL);
  if (fault == "stop") raise(SIGSTOP);
  if (fault == "exit") _exit(7);
  if (fault == "stop_process") kill(getpid(), SIGSTOP);
}

}  // namespace zdd
