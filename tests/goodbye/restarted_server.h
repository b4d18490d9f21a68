// RestartedServer is a server on a free port of its own, of which one generation follows another
// while clients talk to it.
//
//   RestartedServer server("tests/goodbye/server", {"http2"}, {"1s"});
//   pid_t first = server.StartFirst();
//   pid_t second = server.Replace(first, 2);     // both drained and gone
//
// Threads: the test's.
#ifndef TESTS_GOODBYE_RESTARTED_SERVER_H_
#define TESTS_GOODBYE_RESTARTED_SERVER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/process/embedded_server.h"

namespace zdd {

class RestartedServer {
 public:
  // Runs `program` with the words before its address, "tcp://127.0.0.1:port", and those behind it.
  RestartedServer(const std::string& program, std::vector<std::string> before,
                  std::vector<std::string> after);

  pid_t StartFirst();
  // Returns the pid of `generation` when it serves and its predecessor has drained and ended well.
  pid_t Replace(pid_t owner, int generation);
  // Stops the last one; it must end well.
  void Stop(pid_t owner);
  // Waits until `pid` holds that many sockets more than when it began to serve.
  void AwaitConnections(pid_t pid, int count);

  int port() const { return port_; }
  const std::string& log() const { return server_.log(); }

 private:
  void Await(int generation, const std::string& state);

  const int port_;
  EmbeddedServer server_;
  int sockets_at_start_ = 0;
};

}  // namespace zdd

#endif  // TESTS_GOODBYE_RESTARTED_SERVER_H_
