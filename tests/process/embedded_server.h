// EmbeddedServer runs an example server as its operator does: by its command line, its signals and
// the file of its program. It knows it only by its log and by /proc.
//
//   EmbeddedServer server("examples/embed/evhttp/evhttp", {"tcp://127.0.0.1:8080", "1s"});
//   pid_t first = server.Start();
//   server.Await("generation 1 is serving");
//   server.Signal(first, SIGUSR2);
//   server.Await("generation 2 is accepting");
//   pid_t second = server.ChildOf(first);
//
// At its end every process is killed and collected.
//
// Threads: the test's.
#ifndef TESTS_PROCESS_EMBEDDED_SERVER_H_
#define TESTS_PROCESS_EMBEDDED_SERVER_H_

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

class EmbeddedServer {
 public:
  // A copy of `program` is run, so that it can be replaced.
  EmbeddedServer(const std::string& program, std::vector<std::string> flags);
  ~EmbeddedServer();
  EmbeddedServer(const EmbeddedServer&) = delete;
  EmbeddedServer& operator=(const EmbeddedServer&) = delete;

  // Puts a copy of `program` in the place of the server's, by rename.
  void Install(const std::string& program);
  pid_t Start();
  void Signal(pid_t pid, int signal);

  // Waits for a line of the log with `text` in it, each line once. A failure of the test after
  // `limit`.
  void Await(const std::string& text, absl::Duration limit = absl::Seconds(30));
  // Waits for the end of a process: its exit status, or minus its signal.
  int AwaitExit(pid_t pid, absl::Duration limit = absl::Seconds(30));
  // Waits until no generation is left, however many there were.
  void AwaitNobody(absl::Duration limit = absl::Seconds(30));

  // Its one living child. A failure of the test if there is another number of them.
  pid_t ChildOf(pid_t pid) const;
  // What its descriptors are, "socket" or the like, and how many of each.
  static std::map<std::string, int> FdsOf(pid_t pid);

  const std::string& log() const { return log_; }

 private:
  bool ReadLog(absl::Duration limit);

  TempDir dir_;
  const std::vector<std::string> flags_;
  OwnedFd log_reader_;
  OwnedFd log_writer_;
  std::string log_;
  std::set<size_t> awaited_;       // where lines that were awaited begin in the log
  std::map<pid_t, int> statuses_;  // of those that ended
};

}  // namespace zdd

#endif  // TESTS_PROCESS_EMBEDDED_SERVER_H_
