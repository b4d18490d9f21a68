// Lineage runs real generations of tests/process/test_server and follows what they do.
//
//   Lineage lineage({"listen http tcp://127.0.0.1:0"});
//   pid_t first = lineage.StartFirst();
//   lineage.Script({"version v2", "at enter.standby kill"});     // what the next generation reads
//   lineage.Signal(first, SIGUSR2);
//   lineage.Await("upgrade.rolled_back", first);
//
// Events are waited for, never times. At its end every process is killed and collected, and the
// directory is checked.
//
// Threads: the test's.
#ifndef TESTS_PROCESS_LINEAGE_H_
#define TESTS_PROCESS_LINEAGE_H_

#include <sys/types.h>

#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

struct TestEvent {
  pid_t pid = 0;
  std::string name;
  std::string message;
};

class Lineage {
 public:
  // `common`: lines of the script of every generation.
  explicit Lineage(std::vector<std::string> common);
  ~Lineage();

  // Writes the script that the next process reads: the common lines and these.
  void Script(const std::vector<std::string>& lines);
  // Starts a process by hand, as a shell would.
  pid_t Start();
  // Script, Start, and wait until it serves.
  pid_t StartFirst(const std::vector<std::string>& lines = {"version v1"});

  void Signal(pid_t pid, int signal);

  // On a machine that is busy with other things too.
  static constexpr absl::Duration kLong = absl::Minutes(1);

  // The next event of that name (of that process, if given) that was not awaited yet. A failure of
  // the test after `limit`.
  TestEvent Await(const std::string& name, pid_t pid = 0, absl::Duration limit = kLong);
  // Waits for that event of `pid`, or its end: whether the event came.
  bool AwaitUnlessEnded(const std::string& name, pid_t pid, absl::Duration limit = kLong);
  // Waits until one of these has come from any process but `not_of`; false if none did within
  // `limit`.
  bool AwaitAnyOf(const std::vector<std::string>& names, pid_t not_of, absl::Duration limit);
  // Whether such an event has come by now.
  bool Saw(const std::string& name, pid_t pid = 0);
  // Waits for the end of a process: its exit status, or minus its signal.
  int AwaitExit(pid_t pid, absl::Duration limit = kLong);
  // Waits until the kernel shows the process as stopped.
  void AwaitStopped(pid_t pid);
  bool Alive(pid_t pid) const;

  // Of listener `name`, as last told.
  std::string Address(const std::string& name = "http");
  // Descriptors of the process that are open on the file `path`.
  int FdsTo(pid_t pid, const std::string& path) const;
  std::string History() const;  // all events so far, for messages
  const TempDir& dir() const { return dir_; }

 private:
  bool ReadEvents(absl::Duration limit);
  void Reap();

  TempDir dir_;
  std::vector<std::string> common_;
  OwnedFd fifo_;
  std::string partial_;
  std::vector<TestEvent> events_;
  std::vector<bool> awaited_;
  std::set<pid_t> living_;
  std::vector<std::pair<pid_t, int>> ended_;
};

}  // namespace zdd

#endif  // TESTS_PROCESS_LINEAGE_H_
