// LoneServer is http_server on a port of its own, taking over from nobody.
//
//   absl::StatusOr<LoneServer> server = LoneServer::Start(rig);
//   absl::Status answers = server->AwaitAnswer();
//
// Threads: one. Lifetime: killed with the object. Errors: what keeps it from being started.
#ifndef BENCHMARKS_RESTART_LONE_SERVER_H_
#define BENCHMARKS_RESTART_LONE_SERVER_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "benchmarks/restart/process.h"
#include "benchmarks/restart/rig.h"

namespace zdd {

class LoneServer {
 public:
  static absl::StatusOr<LoneServer> Start(const Rig& rig);
  // The server without zdd.
  static absl::StatusOr<LoneServer> StartBare(const Rig& rig);

  // Until it has answered.
  absl::Status AwaitAnswer() const;

  const std::string& address() const { return address_; }
  pid_t pid() const { return process_.pid(); }

 private:
  LoneServer(std::string address, Process process)
      : address_(std::move(address)), process_(std::move(process)) {}
  std::string address_;
  Process process_;
};

}  // namespace zdd

#endif  // BENCHMARKS_RESTART_LONE_SERVER_H_
