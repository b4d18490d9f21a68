// A version of the servers in examples/embed that came before they could move connections: threads
// that block.
//
//   unmoving_server tcp://127.0.0.1:8080 10s
#include <sys/socket.h>

#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "examples/embed/http1.h"
#include "zdd/service.h"

namespace {

void Serve(zdd::Connection connection, int version) {
  const int fd = connection.fd.get();
  example::Http1 http;
  while (!http.done()) {
    if (http.Answer(version, connection.ticket.ShouldClose())) {
      const ssize_t size = send(fd, http.output.data(), http.output.size(), MSG_NOSIGNAL);
      if (size < 0) return;
      http.output.erase(0, size);
    } else {
      char bytes[16384];
      const ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
      if (size <= 0) return;
      http.input.append(bytes, size);
    }
    connection.ticket.SetBusy(!http.idle());
  }
  zdd::CloseGently(std::move(connection.fd), std::move(connection.ticket));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  zdd::Options options;
  options.name = "hello";
  options.version = "unmoving";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM};
  if (!absl::ParseDuration(argv[2], &options.drain.grace)) return 2;
  options.drain.spread = options.drain.grace;
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  zdd::ListenOptions listen;
  listen.blocking_connections = true;
  absl::StatusOr<zdd::Listener> http = service->Listen("http", argv[1], std::move(listen));
  if (!http.ok()) return zdd::Fail(http.status());
  absl::Status started = service->Start();
  if (!started.ok()) return zdd::Fail(started);
  while (absl::optional<zdd::Connection> connection = http->Accept()) {
    std::thread(Serve, *std::move(connection), service->generation()).detach();
  }
  return service->Wait().exit_code();
}
