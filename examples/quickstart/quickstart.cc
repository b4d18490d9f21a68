// A whole server that can replace its own binary: threads that block, HTTP/1.1, nothing else.
//
//   ./quickstart tcp://127.0.0.1:8080 &
//   curl http://127.0.0.1:8080/                      # Hello from generation 1
//   cp quickstart-2.0 quickstart.new && mv quickstart.new quickstart
//   kill -USR2 $(pgrep -o quickstart)                # the file of now takes over; no client
//   notices kill -TERM $(pgrep -o quickstart)                # drains, then ends
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "zdd/service.h"

// Reads, answers, until the client leaves or zdd asks to close. `ticket` is what zdd knows of this
// connection: busy between a request and its response, else idle.
void Serve(zdd::Connection connection, int generation) {
  const int fd = connection.fd.get();
  zdd::Ticket& ticket = connection.ticket;
  std::string input;
  for (bool last = false; !last;) {
    size_t end;
    while ((end = input.find("\r\n\r\n")) == std::string::npos) {
      ticket.SetBusy(!input.empty());
      pollfd readable = {fd, POLLIN, 0};
      poll(&readable, 1, -1);
      char bytes[4096];
      const ssize_t size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
      if (size < 0 && errno == EAGAIN) continue;
      if (size <= 0) return;
      input.append(bytes, size);
    }
    ticket.SetBusy(true);
    input.erase(0, end + 4);
    last = ticket.ShouldClose();
    const std::string body = "Hello from generation " + std::to_string(generation) + "\n";
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                             (last ? "\r\nConnection: close" : "") + "\r\n\r\n";
    if (send(fd, (head + body).data(), head.size() + body.size(), MSG_NOSIGNAL) < 0) return;
  }
  zdd::CloseGently(std::move(connection.fd), std::move(connection.ticket));
}

int main(int argc, char** argv) {
  zdd::Options options;
  options.name = "quickstart";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  absl::StatusOr<zdd::Listener> http =
      service->Listen("http", argc > 1 ? argv[1] : "tcp://0.0.0.0:8080");
  if (!http.ok()) return zdd::Fail(http.status());
  // Takes over from the generation that runs, or is the first.
  absl::Status started = service->Start();
  if (!started.ok()) return zdd::Fail(started);
  // Sleeps while another generation serves, wakes if that one fails, ends when nothing more can
  // come.
  while (absl::optional<zdd::Connection> connection = http->Accept()) {
    std::thread(Serve, *std::move(connection), service->generation()).detach();
  }
  return service->Wait().exit_code();  // when the last connection is finished
}
