// What a test server is to do, line by line, and the events at which it does it.
//
// It is read at start, so that each generation can behave differently. A line each:
//   name S | dir D | pid_file F | version V
//   mode pull|push|raw            how every listener accepts (push)
//   on embedder | executor        callbacks run on a loop or a thread of the server's own
//   listen NAME ADDRESS [OPTION]  any number of times; OPTION: v6only, exclusive or device=D.
//                                 A UDP socket answers each datagram with "version datagram"
//   LIMIT_ms N                    LIMIT: standby, silence, ready, hello, join, delay, spread,
//                                 grace, deadline
//   format F                      its connections move, in this format; further ones are read too
//   draining_max N
//   chdir D                       goes there first
//   stderr FIFO                   logs there too, as it would without a sink of its own
//   nofile N                      its limit of descriptors
//   uid N                         becomes that user first
//   command WORDS                 what an upgrade starts
//   working_directory D           where an upgrade starts
//   fail exit N | check TEXT      and out_of_memory, out_of_fds, crash, hang, hang_early,
//                                 notready, no_accept, accept_once
//   at EVENT FAULT                when it logs EVENT the first time; FAULT: kill, stop,
//                                 stop_process or exit, done to itself
//   events FIFO                   where each event goes, as a line "pid event message"
//   drain_by_signal NAME          SIGUSR1 drains that listener, SIGHUP cancels it
//   also NAME                     a second service of that name in the same process
#ifndef TESTS_PROCESS_SCRIPT_H_
#define TESTS_PROCESS_SCRIPT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace zdd {

class Script {
 public:
  static Script Read(const char* path);

  bool Has(const std::string& key) const { return lines_.count(key) != 0; }
  std::string Get(const std::string& key, const std::string& otherwise = "") const;
  // Of a line that may stand there any number of times.
  std::vector<std::string> All(const std::string& key) const;
  absl::Duration Ms(const std::string& key, int otherwise) const;

 private:
  std::multimap<std::string, std::string> lines_;
};

// Writes events to the FIFO, and does to this process what the script says at them.
class Events {
 public:
  explicit Events(const Script& script);

  void Tell(absl::string_view event, absl::string_view message);

 private:
  static void Do(const std::string& fault);

  int fd_ = -1;
  std::map<std::string, std::string> faults_;
};

}  // namespace zdd

#endif  // TESTS_PROCESS_SCRIPT_H_
