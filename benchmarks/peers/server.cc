#include "benchmarks/peers/server.h"

#include <errno.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "benchmarks/util/probe.h"
#include "examples/demo/processes.h"
#include "tests/util/free_address.h"
#include "tests/util/processes.h"
#include "zdd/base/status.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr int kTailLines = 20;

std::string Port(absl::string_view address) {
  return std::string(address.substr(address.rfind(':') + 1));
}

std::string FillIn(absl::string_view text, const std::string& directory, absl::string_view address,
                   absl::string_view version) {
  return absl::StrReplaceAll(
      text, {{"@DIRECTORY@", directory}, {"@PORT@", Port(address)}, {"@VERSION@", version}});
}

// By rename: nobody reads half of it.
absl::Status WriteConfig(const Recipe& recipe, const std::string& directory,
                         absl::string_view address, absl::string_view version) {
  const std::string path = absl::StrCat(directory, "/config");
  {
    std::ofstream file(path + ".new");
    file << FillIn(recipe.config_template, directory, address, version);
  }
  std::error_code error;
  std::filesystem::rename(path + ".new", path, error);
  if (error) return absl::UnavailableError(absl::StrCat("write ", path, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Server> Server::Start(const Recipe& recipe, const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directory(directory, error);
  const absl::StatusOr<std::string> address = FreeAddress();
  if (!address.ok()) return address.status();
  const absl::Status written = WriteConfig(recipe, directory, *address, "v1");
  if (!written.ok()) return written;
  std::vector<std::string> words;
  for (const std::string& word : recipe.words) {
    words.push_back(FillIn(word, directory, *address, "v1"));
  }
  absl::StatusOr<Program> program = Program::Start(words, directory + "/log");
  if (!program.ok()) return program.status();
  Server server(recipe, directory, *address, *std::move(program));
  const absl::StatusOr<Address> where = Address::Parse(*address);
  if (!where.ok()) return where.status();
  if (AwaitAnswer(*where, "v1", kStartTimeout)) return server;
  return absl::DeadlineExceededError(
      absl::StrCat("start ", words[0], ": no answer\n", server.LogTail()));
}

pid_t Server::told() const {
  pid_t pid = 0;
  return absl::SimpleAtoi(demo::ReadSmallFile(directory_ + "/pid"), &pid) ? pid : 0;
}

std::vector<pid_t> Server::Serving() const {
  const pid_t pid = told();
  if (pid == 0) return {};
  return recipe_.master ? ChildrenOf(pid) : std::vector<pid_t>{pid};
}

absl::Status Server::Install(absl::string_view version) const {
  return WriteConfig(recipe_, directory_, address_, version);
}

absl::Status Server::Replace() const {
  const pid_t pid = told();
  if (pid == 0) return absl::FailedPreconditionError(absl::StrCat(directory_, "/pid is empty"));
  if (kill(pid, recipe_.signal) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("kill ", pid));
}

std::string Server::LogTail() const {
  std::vector<std::string> lines = absl::StrSplit(demo::ReadSmallFile(directory_ + "/log"), '\n');
  if (lines.size() > kTailLines) lines.erase(lines.begin(), lines.end() - kTailLines);
  return absl::StrJoin(lines, "\n");
}

}  // namespace zdd
