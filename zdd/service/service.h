// Service: the front door of zdd. A server that goes through it can replace its own binary while
// clients notice nothing.
//
//   int main() {
//     zdd::Options options;
//     options.name = "hello";
//     options.upgrade_signal = SIGUSR2;
//     options.stop_signals = {SIGTERM, SIGINT};
//     absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
//     if (!service.ok()) return zdd::Fail(service.status());
//     absl::StatusOr<zdd::Listener> http = service->Listen("http", "tcp://0.0.0.0:8080");
//     if (!http.ok()) return zdd::Fail(http.status());
//     absl::Status started = service->Start();
//     if (!started.ok()) return zdd::Fail(started);
//     while (absl::optional<zdd::Connection> connection = http->Accept())
//       std::thread(Serve, *std::move(connection)).detach();
//     return service->Wait().exit_code();
//   }
//
// Serve() waits in poll() before it reads, since the descriptor does not block (unless
// ListenOptions::blocking_connections says so); says ticket.SetBusy(true) at a request and
// SetBusy(false) after its response; gives its last one when ticket.ShouldClose() is true, and ends
// with zdd::CloseGently(). examples/quickstart is one.
//
// Order in main(): flags; daemonize, setuid, limits; Create; Listen; build the server and start its
// threads; OnState, OnConnection or AcceptWith; Start; Wait; stop and join the server's own
// threads; destroy the server, then the Service. No fork() without exec after Create.
//
// Threads: every call from any thread, unless it says otherwise. A call that blocks answers
// FailedPrecondition on zdd's loop. Callbacks run one at a time, on the loop or through
// Options::executor; they must not block, and may destroy what called them. Lifetime: Service and
// Listener are handles. Dropping the last Service handle stops the service at once (an exit without
// Wait() is a death to the peer, which survives it). Listeners and Tickets may outlive it. A
// Service must not be static. Errors: absl::Status throughout; zdd never aborts, exits or throws on
// behalf of the embedder.
#ifndef ZDD_SERVICE_SERVICE_H_
#define ZDD_SERVICE_SERVICE_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "zdd/base/owned_fd.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/ticket.h"
#include "zdd/net/address.h"
#include "zdd/service/options.h"
#include "zdd/service/report.h"

namespace zdd {

class ServiceCore;
class ListenerCore;

// What this generation does for its clients. Standby can go back to serving, draining cannot.
enum class State { kStarting, kServing, kStandby, kDraining, kDrained };
absl::string_view StateName(State state);  // "serving"

// One accepted connection. The ticket stands behind the fd so that it dies first: keep that order
// in your own types.
struct Connection {
  OwnedFd fd;  // non-blocking unless ListenOptions say otherwise, close-on-exec
  Ticket ticket;
  Address peer;
  // It has moved here, or could not move and is back: it is in the middle of something. `state` is
  // what Ticket::Migrate was given: first write what is in there unsent, then parse what is in
  // there unread, then wait for more. Look at ticket.Asked() too: one that is back has been told
  // goodbye.
  bool moved = false;
  std::string state;
};

// For servers that accept by themselves, on sockets that zdd gives them, and never call shutdown()
// on a listening socket (that would kill it for every generation). All calls come one at a time, as
// callbacks do.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  // Accept on `fd` (non-blocking, listening) from now on. Any number of times; each time with a
  // fresh duplicate of socket number `socket` of this listener. A started socket is always stopped
  // before it is started again.
  virtual void Start(int socket, OwnedFd fd) = 0;
  // Stop, close that duplicate, and run `stopped` once no accept() can follow: now, or later from
  // any thread.
  virtual void Stop(int socket, Task stopped) = 0;
};

// A name on which a service accepts, in one of three ways, chosen before Start(): Accept(),
// OnConnection() or AcceptWith().
class Listener {
 public:
  // Empty: good for assignment. Any other call answers FailedPrecondition, or does nothing.
  Listener() = default;

  // Pull: waits for the next connection; sleeps while another generation serves. None: nothing can
  // come any more. Any number of threads may call it. REQUIRES: not on zdd's loop.
  absl::optional<Connection> Accept();

  // Push: `callback` gets each connection. The right one for most servers. FailedPrecondition after
  // Start().
  absl::Status OnConnection(absl::AnyInvocable<void(Connection)> callback);

  // Raw: `acceptor` accepts, and calls Enter() for each connection. FailedPrecondition after
  // Start(). REQUIRES: outlives the service.
  absl::Status AcceptWith(Acceptor* acceptor);

  // The ticket of a connection that an Acceptor accepted; `fd` lets zdd close it when it is idle in
  // a drain (-1: zdd only tells). Never fails: what is accepted is owned. Wait-free.
  Ticket Enter(int fd = -1);

  // Push and pull: no new connection until Resume(); clients wait in the queue. Nothing happens the
  // second time.
  void Pause();
  void Resume();

  // Drains this listener alone, while the service serves on: its connections hear their goodbye,
  // are closed when idle, and cut at the deadline, as Options::drain says for its name, but without
  // the delay. Whoever connects meanwhile waits in the queue, also after the end: until
  // CancelDrain(), a successor, which knows nothing of this drain and serves him, or the end of the
  // service, which serves him last (but with AcceptWith() zdd cannot). Nobody is refused, so that a
  // check that only connects takes the port for healthy.
  //
  // `done` runs once, with `drained` true when the last connection has gone or the deadline is
  // over; false if it was cancelled, or the service itself began to drain (stop, upgrade): that
  // goes on where this one is, asks nobody twice, only shortens, and reports. A rollback changes
  // nothing. The log tells of `listener.draining`, `drain.progress` and `listener.drained`.
  //
  // FailedPrecondition before Start(), while the service drains, and the second time;
  // ResourceExhausted when 31 listeners drain.
  absl::Status Drain(absl::string_view reason,
                     absl::AnyInvocable<void(const DrainReport&)> done = {});

  // Accepts again, during its drain or after its end; who waits in the queue is served. Nobody is
  // asked any more. What was said stays said: a connection that was told goodbye is answered, and
  // ends after its next response. FailedPrecondition if it does not drain, or the service itself
  // does by now.
  absl::Status CancelDrain();

  // How its own drain stands, or went: "serving" if there is none. As Service::Progress().
  DrainProgress Progress() const;

  // With the real port where port 0 was asked for.
  Address address() const;
  const std::string& name() const;

 private:
  friend class Service;
  Listener(std::shared_ptr<ListenerCore> core, std::weak_ptr<ServiceCore> service)
      : core_(std::move(core)), service_(std::move(service)) {}
  std::shared_ptr<ListenerCore> core_;
  std::weak_ptr<ServiceCore> service_;
};

class Service {
 public:
  // Takes the signals, finds the predecessor and receives its sockets, or becomes the first
  // generation. Blocks, at most join_timeout. Errors: InvalidArgument (an option, named),
  // AlreadyExists (a second service of this name here), Unavailable (another handoff runs; the
  // predecessor does not answer), PermissionDenied (the runtime directory or the peer is somebody
  // else's), DataLoss, FailedPrecondition (it speaks another protocol).
  static absl::StatusOr<Service> Create(Options options);

  // Empty: good for assignment. Any other call answers FailedPrecondition, or does nothing.
  Service() = default;
  Service(Service&&) = default;
  Service& operator=(Service&& other) noexcept;
  ~Service();

  // The listener `name` on `address` ("tcp://0.0.0.0:80", "tcp://[::]:0", "udp://...",
  // "unix:///run/x", "unix:@abstract"): the predecessor's socket of that name if it fits, else a
  // new one. FailedPrecondition after Start(); AlreadyExists for a name taken; else what bind()
  // says. See net/address.h.
  absl::StatusOr<Listener> Listen(absl::string_view name, absl::string_view address,
                                  ListenOptions options = {});

  // Asked after Start() until all checks pass: Ok, or Unavailable ("not yet", asked again), or an
  // error that ends the start. Must not block. FailedPrecondition after Start().
  absl::Status AddReadinessCheck(absl::string_view name, absl::AnyInvocable<absl::Status()> check);

  // Hears of each change of state, after the last OnConnection of the state before.
  // FailedPrecondition after Start().
  absl::Status OnState(absl::AnyInvocable<void(State)> callback);

  // Serves: at once as the first generation, else when the predecessor has made way. Blocks until
  // this generation accepts or has failed; with the embedder's own loop it returns at once, and
  // OnState tells. A second call: FailedPrecondition.
  absl::Status Start();

  // Starts a successor. `done` gets the report when it has taken over or failed. At once with
  // Unavailable while a handoff runs, ResourceExhausted while draining_generations_max older
  // generations drain, FailedPrecondition while stopping, draining, or not the owner ("ask pid N").
  // By signal one wish is kept, and runs when the handoff ends or an older generation is gone.
  void Upgrade(absl::AnyInvocable<void(const Report&)> done = {});

  // Ends the handoff in progress: a predecessor takes everything back, a successor asks for that.
  // FailedPrecondition if there is none, or its commit has happened.
  absl::Status RollBack(absl::string_view reason);

  // Ends the standby early: the successor takes over now. FailedPrecondition if there is no
  // standby.
  absl::Status Release();

  // Stops for good: lame duck, drain, Wait() returns. The second call skips the waits, the third
  // cuts the connections.
  void Stop(absl::string_view reason);

  // Blocks until this generation has nothing more to do: drained after a commit or a stop, or
  // failed. After it no callback runs. On zdd's loop: FailedPrecondition in the report, unless it
  // has ended already.
  Report Wait();

  // How many connections and jobs there are, by kind, busy and idle, the oldest of them; and while
  // the service drains: what became of the others, how fast they end, and when the last will have
  // (`expected`). Waits for one turn of the loop, then counts on this thread: 2 ms for 100,000.
  // Once a second the log tells the same, as `drain.progress`, if something has changed.
  DrainProgress Progress() const;

  // A ticket for work that belongs to no listener (a job, a timer, an outgoing call): drains wait
  // for it. `kind` appears among the stragglers. Never fails.
  Ticket Enter(absl::string_view kind);

  State state() const;
  // True while this generation wants new work: false in standby, lame duck and drain. For health
  // endpoints.
  bool ready() const;
  int generation() const;

 private:
  explicit Service(std::shared_ptr<ServiceCore> core) : core_(std::move(core)) {}
  std::shared_ptr<ServiceCore> core_;
};

// Prints `zdd: status` on stderr and returns 1: `return zdd::Fail(status);` in main(). Ok prints
// nothing and returns 0, so that `return zdd::Fail(service->Wait().status);` is right too.
int Fail(const absl::Status& status);

}  // namespace zdd

#endif  // ZDD_SERVICE_SERVICE_H_
