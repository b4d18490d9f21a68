// Pistache embedded with zdd, which accepts for it. A connection cannot move, as the library does
// not let go of one; it says goodbye.
//
//   ./pistache tcp://127.0.0.1:8080 10s &            # clients think for less than 10 s
//   curl -i http://127.0.0.1:8080/                   # X-Version: 1
//   cp pistache-2.0 pistache.new && mv pistache.new pistache
//   kill -USR2 $(pgrep -o pistache)                  # the file of now takes over
//   kill -TERM $(pgrep -o pistache)                  # drains, then ends
//
// Its Endpoint always binds a socket of its own; what is behind it does not: a Transport serves
// whatever peers it is given. The Transport gets a duplicate of each fd, since it closes what it
// has without reading the rest, which would reset the connection and destroy its last response.
//
// Threads: one of the library's, and zdd's loop, which gives it connections.
// Limits: two descriptors for each connection. The library answers one request of those that a
// client sends at once, and drops what it has not sent yet when the client ends its direction.
#include <fcntl.h>
#include <pistache/endpoint.h>
#include <pistache/http.h>
#include <pistache/peer.h>
#include <pistache/reactor.h>
#include <pistache/transport.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "zdd/service.h"

namespace {

namespace Http = Pistache::Http;
namespace Tcp = Pistache::Tcp;

constexpr const char* kOurs = "zdd";
using Peer = std::shared_ptr<Tcp::Peer>;

zdd::Connection& ConnectionOf(const Peer& peer) {
  return *std::static_pointer_cast<zdd::Connection>(peer->getData(kOurs));
}

void End(zdd::Connection* connection) {
  std::thread([ours = std::move(*connection)]() mutable {
    zdd::CloseGently(std::move(ours.fd), std::move(ours.ticket));
  }).detach();
}

class XVersion : public Http::Header::Header {
 public:
  NAME("X-Version")
  explicit XVersion(std::string version) : version_(std::move(version)) {}
  void write(std::ostream& stream) const override { stream << version_; }

 private:
  const std::string version_;
};

// What a server is about.
class Hello : public Http::Handler {
 public:
  HTTP_PROTOTYPE(Hello)
  explicit Hello(std::string version) : version_(std::move(version)) {}

  void onRequest(const Http::Request&, Http::ResponseWriter response) override {
    const Peer peer = response.getPeer();
    const bool last = ConnectionOf(peer).ticket.ShouldClose();
    auto& headers = response.headers();
    headers.add<XVersion>(version_);
    headers.remove<Http::Header::Connection>();  // "Close", unless the client asks for something
    headers.add<Http::Header::Connection>(last ? Http::ConnectionControl::Close
                                               : Http::ConnectionControl::KeepAlive);
    response.send(Http::Code::Ok, "Hello from Pistache\n")
        .then(
            [peer, last](ssize_t) {
              zdd::Connection& ours = ConnectionOf(peer);
              if (last) return End(&ours);
              ours.ticket.SetBusy(false);
            },
            Pistache::Async::NoExcept);
  }

 private:
  const std::string version_;
};

// Stands before the handler, to see a request from its first byte on.
class Doorkeeper : public Tcp::Handler {
 public:
  PROTOTYPE_OF(Tcp::Handler, Doorkeeper)
  explicit Doorkeeper(std::shared_ptr<Tcp::Handler> handler) : handler_(std::move(handler)) {}

  void onConnection(const Peer& peer) override { handler_->onConnection(peer); }
  void onInput(const char* bytes, size_t size, const Peer& peer) override {
    zdd::Connection& ours = ConnectionOf(peer);
    if (!ours.fd.valid()) return;  // after the last answer
    ours.ticket.SetBusy(true);
    handler_->onInput(bytes, size, peer);
  }
  void onDisconnection(const Peer& peer) override {
    handler_->onDisconnection(peer);
    if (ConnectionOf(peer).fd.valid()) End(&ConnectionOf(peer));
  }

 private:
  std::shared_ptr<Tcp::Handler> handler_;
};

class Transport : public Tcp::Transport {
 public:
  explicit Transport(std::string version) : Transport(version, std::make_shared<Hello>(version)) {}
  std::shared_ptr<Pistache::Aio::Handler> clone() const override {
    return std::make_shared<Transport>(version_);
  }

 private:
  // A handler answers through the transport that it was given to last.
  Transport(std::string version, const std::shared_ptr<Tcp::Handler>& handler)
      : Tcp::Transport(handler), version_(std::move(version)) {
    init(std::make_shared<Doorkeeper>(handler));
  }

  const std::string version_;
};

class HttpServer {
 public:
  explicit HttpServer(int version) : reactor_(Pistache::Aio::Reactor::create()) {
    reactor_->init(Pistache::Aio::AsyncContext(1));
    key_ = reactor_->addHandler(std::make_shared<Transport>(std::to_string(version)));
    reactor_->run();
  }
  ~HttpServer() { reactor_->shutdown(); }

  void Serve(zdd::Connection connection) {
    const int fd = fcntl(connection.fd.get(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return;  // no descriptors left
    sockaddr_storage address{};
    memcpy(&address, connection.peer.sockaddr(), connection.peer.size());
    const Peer peer =
        Tcp::Peer::Create(fd, Pistache::Address::fromUnix(reinterpret_cast<sockaddr*>(&address)));
    connection.ticket.SetBusy(false);
    peer->putData(kOurs, std::make_shared<zdd::Connection>(std::move(connection)));
    std::static_pointer_cast<Transport>(reactor_->handlers(key_)[0])->handleNewPeer(peer);
  }

 private:
  const std::shared_ptr<Pistache::Aio::Reactor> reactor_;
  Pistache::Aio::Reactor::Key key_;
};

}  // namespace

int main(int argc, char** argv) {
  zdd::Options options;
  options.name = "pistache";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  if (argc > 2) absl::ParseDuration(argv[2], &options.drain.grace);
  options.drain.spread = options.drain.grace;
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  absl::StatusOr<zdd::Listener> http =
      service->Listen("http", argc > 1 ? argv[1] : "tcp://127.0.0.1:8080");
  if (!http.ok()) return zdd::Fail(http.status());
  HttpServer server(service->generation());
  absl::Status status =
      http->OnConnection([&](zdd::Connection connection) { server.Serve(std::move(connection)); });
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  if (!status.ok()) return zdd::Fail(status);
  return service->Wait().exit_code();
}
