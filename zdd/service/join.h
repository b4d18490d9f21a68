// Joining: a successor's first words with its predecessor, until it holds every socket. It blocks,
// since the sockets have to be here before Listen() can be called, and runs without a loop, since
// the embedder's may not turn yet.
//
//   absl::StatusOr<JoinedHandoff> joined = JoinPredecessor(*std::move(channel), request);
//   if (!joined.ok()) return joined.status();     // "join pid 4121: busy: pid 4300 is in standby,
//   try again in 2s"
//
// Threads: any but a loop. Lifetime: values. Errors: Unavailable (busy; it does not answer; it
// died), DeadlineExceeded, FailedPrecondition (it refuses, or speaks another protocol), DataLoss
// (it speaks garbage). On failure nothing stays open.
#ifndef ZDD_SERVICE_JOIN_H_
#define ZDD_SERVICE_JOIN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "zdd/base/owned_fd.h"
#include "zdd/handoff/frames.h"
#include "zdd/net/fd_channel.h"
#include "zdd/service/report.h"
#include "zdd/service/token.h"

namespace zdd {

// The first word of an owner that lives comes within this, however busy its clients keep it.
inline constexpr absl::Duration kWelcomeLimit = absl::Seconds(1);

struct JoinRequest {
  std::string service;
  std::string version;
  absl::Duration welcome_limit = kWelcomeLimit;
  absl::Duration join_limit = absl::Seconds(5);
};

struct JoinedHandoff {
  FdChannel channel;
  OwnedFd pidfd;  // of the predecessor; invalid if none is to be had
  GenerationInfo predecessor;
  WelcomeFrame welcome;
  Token token;
  std::vector<OfferedSocket> sockets;  // the control socket among them
  std::vector<OwnedFd> fds;            // one each
};

absl::StatusOr<JoinedHandoff> JoinPredecessor(FdChannel channel, const JoinRequest& request);

// Whether JoinPredecessor failed because another handoff is under way: it ends.
bool IsBusy(const absl::Status& status);

}  // namespace zdd

#endif  // ZDD_SERVICE_JOIN_H_
