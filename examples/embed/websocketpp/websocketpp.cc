// WebSockets by websocketpp, embedded with zdd, which accepts for it. A connection cannot move, as
// the library does not tell what it has read ahead; it says goodbye.
//
//   ./websocketpp tcp://127.0.0.1:8080 10s &         # each message is echoed
//   cp websocketpp-2.0 ws.new && mv ws.new websocketpp
//   kill -USR2 $(pgrep -o websocketpp)               # the file of now takes over
//   kill -TERM $(pgrep -o websocketpp)               # drains, then ends
//
// WebSocket has a goodbye for idle connections: a close frame, with 1012, "service restart". The
// library drops what comes after that, so a client may send again, to the successor, whatever was
// not answered. It gives up by itself on clients that answer neither this nor its handshake (5 s).
//
// Threads: one for Asio, where zdd gives connections too, through Options::executor; only what
// OnAsk() was given runs on zdd's loop, and posts.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/server.hpp>

#include "absl/time/time.h"
#include "zdd/service.h"

namespace {

namespace asio = boost::asio;
using Endpoint = websocketpp::server<websocketpp::config::asio>;
using WebSocket = Endpoint::connection_ptr;

class EchoServer {
 public:
  EchoServer() {
    endpoint_.clear_access_channels(websocketpp::log::alevel::all);
    endpoint_.clear_error_channels(websocketpp::log::elevel::all);
    endpoint_.init_asio(&io_);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~EchoServer() {
    io_.stop();
    thread_.join();
  }

  // Runs `task` on Asio's thread, soon, in order. From any thread.
  void Post(zdd::Task task) { asio::post(io_, std::move(task)); }

  void Serve(zdd::Connection connection, int version) {
    WebSocket socket = endpoint_.get_connection();
    const bool v6 = connection.peer.family() == AF_INET6;
    boost::system::error_code error;
    socket->get_raw_socket().assign(v6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(),
                                    connection.fd.get(), error);
    if (error) return;
    (void)connection.fd.Release();
    // Ends with one of these handlers, which come before the fd is closed.
    auto ticket = std::make_shared<zdd::Ticket>(std::move(connection.ticket));
    socket->set_close_handler([ticket](auto) { ticket->Reset(); });
    socket->set_fail_handler([ticket](auto) { ticket->Reset(); });
    std::weak_ptr<WebSocket::element_type> weak = socket;
    socket->set_open_handler([ticket, weak](auto) {
      if (ticket->ShouldClose()) SayGoodbye(weak.lock());
    });
    socket->set_message_handler([weak, version](auto, Endpoint::message_ptr message) {
      std::error_code gone;
      if (WebSocket socket = weak.lock()) {
        gone = socket->send(std::to_string(version) + ": " + message->get_payload());
      }
    });
    ticket->OnAsk([this, weak](zdd::Ask ask) {
      if (ask != zdd::Ask::kGoodbye) return;
      Post([weak] { SayGoodbye(weak.lock()); });
    });
    socket->start();
  }

 private:
  // Too early for one whose handshake is not done: then it hears it when that is.
  static void SayGoodbye(const WebSocket& socket) {
    std::error_code too_early;
    if (socket != nullptr) {
      socket->close(websocketpp::close::status::service_restart, "", too_early);
    }
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  Endpoint endpoint_;
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  EchoServer server;  // outlives the service, which calls it

  zdd::Options options;
  options.name = "websocketpp";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  if (argc > 2) absl::ParseDuration(argv[2], &options.drain.spread);
  options.executor = [&](zdd::Task task) { server.Post(std::move(task)); };
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  absl::StatusOr<zdd::Listener> listener =
      service->Listen("ws", argc > 1 ? argv[1] : "tcp://127.0.0.1:8080");
  if (!listener.ok()) return zdd::Fail(listener.status());
  const int version = service->generation();
  absl::Status status = listener->OnConnection([&server, version](zdd::Connection connection) {
    server.Serve(std::move(connection), version);
  });
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  if (!status.ok()) return zdd::Fail(status);
  return service->Wait().exit_code();
}
