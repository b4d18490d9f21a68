// libevent's HTTP server, evhttp, embedded with zdd. It takes no connections from outside, only
// listening sockets: hence a zdd::Acceptor.
//
//   ./evhttp tcp://127.0.0.1:8080 10s &              # clients think for less than 10 s
//   curl -i http://127.0.0.1:8080/                   # X-Version: 1
//   cp evhttp-2.0 evhttp.new && mv evhttp.new evhttp
//   kill -USR2 $(pgrep -o evhttp)                    # the file of now takes over
//   kill -TERM $(pgrep -o evhttp)                    # drains, then ends
//
// Threads: one for libevent. zdd calls the acceptor there too, through Options::executor, so that
// nothing needs a lock.
// Limit: when descriptors run out evhttp calls accept() again and again; clients wait in the queue.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>

#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "zdd/service.h"

namespace {

class HttpServer : public zdd::Acceptor {
 public:
  HttpServer() : base_(NewBase()), http_(evhttp_new(base_)) {
    evhttp_set_bevcb(
        http_, [](event_base*, void* self) { return Self(self)->OnAccept(); }, this);
    evhttp_set_gencb(
        http_, [](evhttp_request* request, void* self) { Self(self)->Answer(request); }, this);
  }

  ~HttpServer() override {
    Post([this] { event_base_loopbreak(base_); });
    if (thread_.joinable()) thread_.join();
    evhttp_free(http_);
    event_base_free(base_);
  }

  absl::Status ServeOn(zdd::Listener listener, int generation) {
    listener_ = std::move(listener);
    generation_ = std::to_string(generation);
    thread_ = std::thread([this] { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); });
    return listener_.AcceptWith(this);
  }

  // Runs `task` on libevent's thread, soon, in order. From any thread.
  void Post(zdd::Task task) {
    auto run = [](evutil_socket_t, short, void* posted) {
      (*std::unique_ptr<zdd::Task>(static_cast<zdd::Task*>(posted)))();
    };
    auto posted = std::make_unique<zdd::Task>(std::move(task));
    if (event_base_once(base_, -1, EV_TIMEOUT, run, posted.get(), nullptr) == 0) {
      (void)posted.release();
    }
  }

  void Start(int socket, zdd::OwnedFd fd) override {
    sockets_[socket] = evhttp_accept_socket_with_handle(http_, fd.Release());
  }

  // Closes the fd, and does not shut it down.
  void Stop(int socket, zdd::Task stopped) override {
    evhttp_del_accept_socket(http_, sockets_[socket]);
    Post(std::move(stopped));  // behind the Enter() of what was accepted last
  }

 private:
  static event_base* NewBase() {
    evthread_use_pthreads();
    return event_base_new();
  }

  static HttpServer* Self(void* self) { return static_cast<HttpServer*>(self); }

  bufferevent* OnAccept() {
    bufferevent* socket = bufferevent_socket_new(base_, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_incref(socket);               // ours until Close()
    Post([this, socket] { Enter(socket); });  // when evhttp has made a connection of it
    return socket;
  }

  void Enter(bufferevent* socket) {
    // evhttp tells of a connection when its first request is whole. But it is the argument of the
    // socket's callbacks, or none if evhttp has run out of memory.
    void* arg;
    bufferevent_getcb(socket, nullptr, nullptr, nullptr, &arg);
    auto* connection = static_cast<evhttp_connection*>(arg);
    if (connection == nullptr) return (void)bufferevent_decref(socket);
    zdd::Ticket& ticket = tickets_[connection];
    ticket = listener_.Enter(bufferevent_getfd(socket));
    ticket.SetBusy(false);
    evbuffer_add_cb(bufferevent_get_input(socket), &OnInput, &ticket);
    evhttp_connection_set_closecb(
        connection, [](evhttp_connection* c, void* self) { Self(self)->Close(c); }, this);
  }

  static void OnInput(evbuffer*, const evbuffer_cb_info* change, void* ticket) {
    if (change->n_added > 0) static_cast<zdd::Ticket*>(ticket)->SetBusy(true);
  }

  void Answer(evhttp_request* request) {
    evhttp_connection* connection = evhttp_request_get_connection(request);
    zdd::Ticket& ticket = tickets_.at(connection);
    evkeyvalq* head = evhttp_request_get_output_headers(request);
    evhttp_add_header(head, "X-Version", generation_.c_str());
    if (ticket.ShouldClose()) {
      evhttp_add_header(head, "Connection", "close");  // evhttp closes: busy until then
    } else {
      evhttp_request_set_on_complete_cb(request, &OnSent, &ticket);
    }
    evbuffer_add_printf(evhttp_request_get_output_buffer(request), "Hello from libevent\n");
    evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
    // At an end of file evhttp would drop what is left of the response; and zdd closes idle
    // connections by one, perhaps a moment after this request came.
    bufferevent_disable(evhttp_connection_get_bufferevent(connection), EV_READ);
  }

  static void OnSent(evhttp_request* request, void* ticket) {
    evhttp_connection* connection = evhttp_request_get_connection(request);
    evbuffer* input = bufferevent_get_input(evhttp_connection_get_bufferevent(connection));
    const bool pipelined = evbuffer_get_length(input) > 0;
    static_cast<zdd::Ticket*>(ticket)->SetBusy(pipelined);
  }

  // evhttp is about to end our direction and let go of the socket.
  void Close(evhttp_connection* connection) {
    auto ticket = tickets_.find(connection);
    bufferevent* socket = evhttp_connection_get_bufferevent(connection);
    evbuffer_remove_cb(bufferevent_get_input(socket), &OnInput, &ticket->second);
    Post([socket, ticket = std::move(ticket->second)]() mutable {
      Linger(socket, std::move(ticket));
    });
    tickets_.erase(ticket);
  }

  // Closes when the client has ended its direction too, or is silent for 2 s: closed at once, with
  // bytes unread, it would be reset, and lose the last response.
  static void Linger(bufferevent* socket, zdd::Ticket ticket) {
    ticket.SetBusy(true);
    auto discard = [](bufferevent* socket, void*) {
      evbuffer_drain(bufferevent_get_input(socket), SIZE_MAX);
    };
    auto end = [](bufferevent* socket, short, void* ticket) {
      delete static_cast<zdd::Ticket*>(ticket);
      bufferevent_decref(socket);  // closes the fd, behind the ticket
    };
    const timeval limit = {2, 0};
    bufferevent_set_timeouts(socket, &limit, nullptr);
    bufferevent_setcb(socket, discard, nullptr, end, new zdd::Ticket(std::move(ticket)));
    bufferevent_enable(socket, EV_READ);
  }

  event_base* const base_;
  evhttp* const http_;
  zdd::Listener listener_;
  std::string generation_;
  std::map<int, evhttp_bound_socket*> sockets_;
  std::map<evhttp_connection*, zdd::Ticket> tickets_;
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  HttpServer server;  // outlives the service, which calls it

  zdd::Options options;
  options.name = "evhttp";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  if (argc > 2) absl::ParseDuration(argv[2], &options.drain.grace);
  options.drain.spread = options.drain.grace;
  options.executor = [&](zdd::Task task) { server.Post(std::move(task)); };
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  absl::StatusOr<zdd::Listener> http =
      service->Listen("http", argc > 1 ? argv[1] : "tcp://127.0.0.1:8080");
  if (!http.ok()) return zdd::Fail(http.status());
  absl::Status status = server.ServeOn(*http, service->generation());
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  if (!status.ok()) return zdd::Fail(status);
  return service->Wait().exit_code();
}
