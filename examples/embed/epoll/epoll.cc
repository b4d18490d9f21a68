// A loop of one's own over epoll, on one thread, embedded with zdd: its connections move to the
// successor.
//
//   ./epoll tcp://127.0.0.1:8080 10s &
//   curl -i http://127.0.0.1:8080/                   # X-Version: 1
//   cp epoll-2.0 epoll.new && mv epoll.new epoll
//   kill -USR2 $(pgrep -o epoll)                     # no client has to connect again
//   kill -TERM $(pgrep -o epoll)                     # drains, then ends
//
// What makes them move: between two turns nothing is going on in a connection, and all that is
// known of it is in `http`. One that is asked takes a turn.
//
// Threads: one for the loop. zdd gives connections and runs callbacks there, through
// Options::executor; only what OnAsk() was given runs on zdd's own, and posts.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "examples/embed/http1.h"
#include "zdd/service.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLinger(2);

class Server {
 public:
  Server() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    Watch(EPOLL_CTL_ADD, wake_.get(), EPOLLIN, kWake);
  }

  ~Server() {
    Post([this] { stopped_ = true; });
    if (thread_.joinable()) thread_.join();
  }

  absl::Status ServeOn(zdd::Listener listener, int version) {
    version_ = version;
    thread_ = std::thread([this] { Run(); });
    return listener.OnConnection(
        [this](zdd::Connection connection) { Serve(std::move(connection)); });
  }

  // Runs `task` on the loop's thread, soon, in order. From any thread.
  void Post(zdd::Task task) {
    bool first;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      first = tasks_.empty();
      tasks_.push_back(std::move(task));
    }
    if (first) eventfd_write(wake_.get(), 1);  // whoever comes takes all
  }

 private:
  struct Session {
    zdd::OwnedFd fd;
    zdd::Ticket ticket;  // behind the fd, so that it ends first
    example::Http1 http;
    uint32_t events = 0;     // what the loop waits for
    bool lingering = false;  // all is said: what comes is discarded
  };
  // Not known by their fds: those are given anew while somebody asks for the old one.
  using Sessions = std::map<uint64_t, Session>;
  static constexpr uint64_t kWake = 0;

  void Run() {
    while (!stopped_) {
      epoll_event events[64];
      const int count = epoll_wait(epoll_.get(), events, 64, EndLingering());
      for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == kWake) {
          RunTasks();
        } else {
          TakeTurn(events[i].data.u64);
        }
      }
    }
  }

  void RunTasks() {
    eventfd_t count;
    eventfd_read(wake_.get(), &count);
    std::vector<zdd::Task> tasks;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks.swap(tasks_);
    }
    for (zdd::Task& task : tasks) task();
  }

  // New, moved here, or back because it could not move.
  void Serve(zdd::Connection connection) {
    const uint64_t id = ++last_id_;
    Session& session = sessions_[id];
    session.fd = std::move(connection.fd);
    session.ticket = std::move(connection.ticket);
    if (!session.http.Load(connection.state)) return (void)sessions_.erase(id);
    session.ticket.OnAsk([this, id](zdd::Ask) { Post([this, id] { TakeTurn(id); }); });
    // What it brought is answered; what its client has sent since, the loop finds.
    if (!Answer(&session)) return (void)sessions_.erase(id);
    Await(id, &session);
  }

  // Whatever happened: an event or an ask.
  void TakeTurn(uint64_t id) {
    auto it = sessions_.find(id);
    if (it == sessions_.end()) return;
    Session& session = it->second;
    const zdd::Ask asked = session.ticket.Asked();
    if (asked == zdd::Ask::kMigrate && !session.http.last) return Move(it);
    if (asked == zdd::Ask::kCloseNow || !Exchange(&session)) return (void)sessions_.erase(it);
    Await(id, &session);
  }

  void Await(uint64_t id, Session* session) {
    const bool idle = session->http.idle();
    session->ticket.SetBusy(!idle || session->lingering);
    const bool quiet = idle && session->ticket.Asked() == zdd::Ask::kCloseWhenIdle;
    if (session->http.done() || quiet) Linger(id, session);
    Want(id, session, session->http.output.empty() ? EPOLLIN : EPOLLOUT);
  }

  // Sends what is unsent, answers what is unread, reads once. False: the connection is over.
  bool Exchange(Session* session) {
    if (!Answer(session)) return false;
    if (!session->http.output.empty()) return true;
    char bytes[16384];
    const ssize_t size = recv(session->fd.get(), bytes, sizeof(bytes), 0);
    if (size < 0) return errno == EAGAIN;
    if (!session->lingering) session->http.input.append(bytes, size);
    return size > 0 && Answer(session);
  }

  bool Answer(Session* session) {
    std::string& output = session->http.output;
    while (session->http.Answer(version_, session->ticket.ShouldClose())) {
      const ssize_t size = send(session->fd.get(), output.data(), output.size(), MSG_NOSIGNAL);
      if (size < 0) return errno == EAGAIN;
      output.erase(0, size);
    }
    return true;
  }

  void Move(Sessions::iterator it) {
    Session session = std::move(it->second);
    sessions_.erase(it);
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, session.fd.get(), nullptr);
    std::move(session.ticket).Migrate(std::move(session.fd), session.http.Save());
  }

  // What zdd::CloseGently() does, which would block.
  void Linger(uint64_t id, Session* session) {
    if (session->lingering) return;
    session->lingering = true;
    session->ticket.SetBusy(true);
    shutdown(session->fd.get(), SHUT_WR);
    lingering_.emplace_back(Clock::now() + kLinger, id);
  }

  // How long until the next one is due, as epoll_wait() wants it.
  int EndLingering() {
    for (; !lingering_.empty(); lingering_.pop_front()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(lingering_.front().first - Clock::now());
      if (left.count() > 0) return static_cast<int>(left.count());
      sessions_.erase(lingering_.front().second);
    }
    return -1;
  }

  void Want(uint64_t id, Session* session, uint32_t events) {
    if (session->events == events) return;
    const int operation = session->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    session->events = events;
    Watch(operation, session->fd.get(), events, id);
  }

  void Watch(int operation, int fd, uint32_t events, uint64_t id) {
    epoll_event event = {.events = events, .data = {.u64 = id}};
    epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  const zdd::OwnedFd epoll_;
  const zdd::OwnedFd wake_;
  int version_ = 0;
  bool stopped_ = false;
  uint64_t last_id_ = kWake;
  Sessions sessions_;
  std::deque<std::pair<Clock::time_point, uint64_t>> lingering_;  // in the order of their ends
  std::mutex mutex_;                                              // guards tasks_
  std::vector<zdd::Task> tasks_;
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  Server server;  // outlives the service, which calls it

  zdd::Options options;
  options.name = "hello";  // whatever program the next generation is: they know each other by that
  options.version = "epoll";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  if (argc > 2) absl::ParseDuration(argv[2], &options.drain.grace);
  options.drain.spread = options.drain.grace;
  options.executor = [&](zdd::Task task) { server.Post(std::move(task)); };
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  zdd::ListenOptions listen;
  listen.migration_format = example::Http1::kFormat;
  absl::StatusOr<zdd::Listener> http =
      service->Listen("http", argc > 1 ? argv[1] : "tcp://127.0.0.1:8080", std::move(listen));
  if (!http.ok()) return zdd::Fail(http.status());
  absl::Status status = server.ServeOn(*http, service->generation());
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  if (!status.ok()) return zdd::Fail(status);
  return service->Wait().exit_code();
}
