// Options of a Service and of one of its listeners: plain values whose defaults are right for most
// servers.
//
//   zdd::Options options;
//   options.name = "hello";
//   options.version = "2.1.0";
//   options.upgrade_signal = SIGUSR2;
//   options.stop_signals = {SIGTERM, SIGINT};
//   absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
//
// Errors: Create and Listen check each field and answer InvalidArgument with its name, its value
// and what would be right.
#ifndef ZDD_SERVICE_OPTIONS_H_
#define ZDD_SERVICE_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "zdd/base/log.h"
#include "zdd/drain/plan.h"

struct uv_loop_s;

namespace zdd {

// Work to be run once. zdd hands tasks to Options::executor and to Acceptor::Stop.
using Task = absl::AnyInvocable<void()>;

struct Options {
  // What the generations of one service have in common: [a-z0-9_.-], at most 40 characters.
  // Required.
  std::string name;
  // A label of this build for reports and logs, at most 64 bytes of printable text.
  std::string version;

  // Where the control socket lives; made with mode 0700 if absent, refused if it belongs to
  // somebody else or is open to others. Empty: $ZDD_RUNTIME_DIR, else $XDG_RUNTIME_DIR/zdd, else
  // /run/zdd for root, else /tmp/zdd-<uid>.
  std::string runtime_dir;
  // Names the owner, by rename at its commit: an absolute path, in a directory that is there and
  // writable. Empty: none.
  std::string pid_file;

  // What is started by an upgrade. Empty: the words this process was started with. The program is
  // looked up anew at each upgrade, so that a replaced file or a `current` symlink takes effect.
  std::vector<std::string> command;
  // Where that starts, and what its relative words mean: an absolute path, looked up anew at each
  // upgrade. Empty: where this process started, by path; not good for long if deploys remove
  // directories like releases/7: then name the link that leads to the present one.
  std::string working_directory;
  // Start /proc/self/exe when the program's file is gone (a package was removed, not replaced).
  bool allow_deleted_program = false;

  // Signals that are taken in Create, from before anything can go wrong until the service ends. 0
  // or empty: none. A second stop signal cuts the drain short; a third one cuts the connections.
  int upgrade_signal = 0;
  std::vector<int> stop_signals;

  // Create: until the predecessor's sockets are here.
  absl::Duration join_timeout = absl::Seconds(5);
  // From spawning the successor to its first word.
  absl::Duration hello_timeout = absl::Seconds(5);
  // From there until its readiness checks pass; for a first generation, from Start().
  absl::Duration ready_timeout = absl::Seconds(60);
  // A peer that says nothing for so long is overruled. At least 1 s: it is helped after 0.3 s.
  absl::Duration silence = absl::Seconds(5);
  // How long the predecessor, ready to serve again at once, watches before it lets go. May be 0.
  absl::Duration standby = absl::Seconds(2);
  // Live connections (ListenOptions::migration_format) move to the successor as soon as it accepts,
  // not only once it has taken over: then a standby is a trial with all the traffic. A successor
  // that is rolled back brings them home; one that dies in standby takes those that it has with it.
  // Only where both versions read what the other writes.
  bool move_in_standby = false;
  // After a commit and at a stop. Its `delay` is the lame duck of a stop: ready() says no, and all
  // is still accepted; after a commit it means nothing, since the successor accepts.
  DrainPlan drain;

  // At most so many older generations may still be draining when an upgrade begins. One more is
  // refused by call; by signal it waits.
  int draining_generations_max = 8;
  // Another handoff is under way: wait for its end (up to ready_timeout) instead of failing with
  // Unavailable.
  bool wait_if_busy = false;

  // zdd's loop. Null: a thread of its own. Else callbacks run where the embedder calls uv_run(),
  // and Start() and Wait() do not block there (see service.h). REQUIRES: outlives the service, and
  // is run until Service's end.
  uv_loop_s* loop = nullptr;
  // Where callbacks run. Null: on the loop. Else it gets one task at a time, in order (asio::post
  // on a strand, say); a task that is dropped unrun counts as done, a readiness check as failed.
  absl::AnyInvocable<void(Task)> executor;
  // Where events go. Null: one line each to stderr, from severity kInfo on.
  LogSink log;
};

// How one listener's sockets are made. Options that differ from those of an inherited socket are
// applied to it where the kernel can (backlog, mode, hook), and lead to a new socket where it
// cannot (address, device, dual_stack); the report of the restart says which. A new socket on the
// port of the old one is refused by the kernel: then Listen() fails with AlreadyExists, and the
// predecessor serves on.
struct ListenOptions {
  int backlog = 4096;             // capped by net.core.somaxconn
  bool dual_stack = true;         // tcp://[::]:80 takes IPv4 clients too
  std::string device;             // SO_BINDTODEVICE. Empty: any
  absl::optional<int> unix_mode;  // chmod of a Unix socket's path. None: by umask
  // UDP with state (QUIC, DTLS): the predecessor stops before the successor starts.
  bool exclusive = false;
  // The format in which this version writes the state of a connection for Ticket::Migrate, say
  // "chat/2": then live connections move to the successor, if that reads it, and come from the
  // predecessor. Whoever gives one promises that each of its connections, idle ones too, notices
  // Ask::kMigrate (by OnAsk or AskedFd). Empty: none moves. Streams with Accept() or OnConnection.
  std::string migration_format;
  // What it reads besides: formats of versions before it, and of one after it if you can.
  std::vector<std::string> migration_reads;
  // OnConnection and Accept() give fds without O_NONBLOCK.
  bool blocking_connections = false;
  // Called for each socket before bind(), and for an inherited one when it is adopted: any
  // setsockopt(). An error fails Listen().
  absl::AnyInvocable<absl::Status(int fd)> socket_hook;
};

}  // namespace zdd

#endif  // ZDD_SERVICE_OPTIONS_H_
