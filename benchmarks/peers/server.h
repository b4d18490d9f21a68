// Server is a program that serves and replaces itself at a signal: nginx, HAProxy, one that is
// built on tableflip, http_server. A Recipe says how it is started and told.
//
//   absl::StatusOr<Server> server = Server::Start(recipe, directory);     // version "v1"
//   std::vector<pid_t> old = server->Serving();
//   absl::Status status = server->Replace("v2");
//
// Threads: one. Lifetime: the destructor kills what is left of it. Errors: what cannot be started
// or written, with the end of the program's log.
#ifndef BENCHMARKS_PEERS_SERVER_H_
#define BENCHMARKS_PEERS_SERVER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "benchmarks/peers/program.h"

namespace zdd {

// In the words and in the template these are replaced: @DIRECTORY@, @PORT@, @VERSION@. The program
// writes the pid of whom to tell to @DIRECTORY@/pid.
struct Recipe {
  std::string name;
  // Asked once, before the first start: why it cannot be had here, or nothing.
  std::function<std::string()> missing = [] { return std::string(); };
  std::vector<std::string> words;
  std::string config_template;  // the text of @DIRECTORY@/config, written anew for each version
  int signal = 0;               // that replaces it
  bool master = false;          // whether who is told stays, and its children are replaced
};

class Server {
 public:
  // Returns when it answers. `directory` is made.
  static absl::StatusOr<Server> Start(const Recipe& recipe, const std::string& directory);

  const std::string& address() const { return address_; }

  // The processes that a restart replaces.
  std::vector<pid_t> Serving() const;

  // Configures the version; then begins the restart.
  absl::Status Install(absl::string_view version) const;
  absl::Status Replace() const;

  int64_t MemoryKib() const { return program_.MemoryKib(); }
  // The last lines of it, for when something went wrong.
  std::string LogTail() const;

 private:
  Server(Recipe recipe, std::string directory, std::string address, Program program)
      : recipe_(std::move(recipe)),
        directory_(std::move(directory)),
        address_(std::move(address)),
        program_(std::move(program)) {}

  pid_t told() const;  // whom the signal is for, or 0

  Recipe recipe_;
  std::string directory_;
  std::string address_;
  Program program_;
};

}  // namespace zdd

#endif  // BENCHMARKS_PEERS_SERVER_H_
