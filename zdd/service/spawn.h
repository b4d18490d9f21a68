// Spawn starts a successor: the program of this process as it is on disk now, or another command.
//
//   zdd::SpawnRequest request;
//   request.channels.push_back({"hello", ends->theirs.fd(), SIGUSR2});
//   absl::StatusOr<zdd::Child> child = zdd::Spawn(image, request);
//   if (!child.ok()) return child.status();
//   // "start /srv/current/server: Permission denied (EACCES): not executable, chmod +x it"
//
// What the child gets: the channels at 3, 4, 5 ..., named by ZDD_CHANNELS; descriptors 0, 1 and 2
// of this process, /dev/null where one is closed or close-on-exec; no other descriptor; the
// environment and working directory of the image; this process's group, limits, namespaces and
// credentials.
//
// Signals: nothing is blocked and everything has its default action, with two exceptions.
//  - Upgrade signals are blocked, until the child takes them (signals.h): one that is sent to the
//    whole group would otherwise kill it before its Create. Ignoring them in the child, as a shell
//    could, is beyond posix_spawn(); and blocked ones wait, where ignored ones are lost.
//  - SIGHUP, SIGINT and SIGQUIT stay ignored if they are ignored here: nohup and a shell's
//    background jobs mean the whole line of generations.
// Variables that speak of descriptors which do not pass (LISTEN_FDS and its kin) are left out.
//
// It is posix_spawn(), never fork(): a fork copies the page tables of a big heap (98 ms for 4 GiB,
// and every thread that writes stalls), and runs the embedder's pthread_atfork handlers.
//
// Threads: any; blocks until exec has happened (0.3 ms, whatever the size of the heap). Lifetime:
// descriptors in the request are borrowed for the call.
// Errors: the program by path, errno, and what to do about it. NotFound (no such file; missing
// interpreter), PermissionDenied, FailedPrecondition (no program: ENOEXEC; no command known),
// Unavailable (it is being written: ETXTBSY), ResourceExhausted (processes, memory, fds),
// InvalidArgument (channels). On failure no process is left.
#ifndef ZDD_SERVICE_SPAWN_H_
#define ZDD_SERVICE_SPAWN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "zdd/base/syscalls.h"
#include "zdd/service/child.h"
#include "zdd/service/process_image.h"

namespace zdd {

struct SpawnRequest {
  // One end of a connection, for one service of this process.
  struct Channel {
    std::string service;     // Options::name
    int fd = -1;             // a Unix SEQPACKET socket, which stays open here
    int upgrade_signal = 0;  // blocked in the child until it takes it. 0: none
  };

  // Empty: the words that this process was started with.
  std::vector<std::string> command;
  // Start /proc/self/exe if the program's file is gone.
  bool allow_deleted_program = false;
  // At most kInheritedChannelsMax (inherited_channels.h).
  std::vector<Channel> channels;
};

absl::StatusOr<Child> Spawn(const ProcessImage& image, const SpawnRequest& request,
                            Syscalls& syscalls = Syscalls::Real());

}  // namespace zdd

#endif  // ZDD_SERVICE_SPAWN_H_
