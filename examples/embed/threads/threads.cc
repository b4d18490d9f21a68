// A thread for each connection, that sleeps in poll() beside what zdd wants, embedded with zdd: its
// connections move to the successor.
//
//   ./threads tcp://127.0.0.1:8080 10s &
//   curl -i http://127.0.0.1:8080/                   # X-Version: 1
//   cp threads-2.0 threads.new && mv threads.new threads
//   kill -USR2 $(pgrep -o threads)                   # no client has to connect again
//   kill -TERM $(pgrep -o threads)                   # drains, then ends
//
// What makes them move: poll() is the only place where a thread waits, and whatever it knows then
// is in `http`. A thread inside a blocking recv() could be told nothing.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "examples/embed/http1.h"
#include "zdd/service.h"

namespace {

ssize_t Send(int fd, std::string* output) {
  const ssize_t size = send(fd, output->data(), output->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size > 0) output->erase(0, size);
  return size;
}

ssize_t Receive(int fd, std::string* input) {
  char bytes[16384];
  const ssize_t size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (size > 0) input->append(bytes, size);
  return size;
}

void Serve(zdd::Connection connection, int version) {
  const int fd = connection.fd.get();
  zdd::Ticket& ticket = connection.ticket;
  int asked = ticket.AskedFd();
  example::Http1 http;
  if (!http.Load(connection.state)) return;
  while (!http.done()) {
    if (ticket.Asked() == zdd::Ask::kMigrate && !http.last) {
      return std::move(ticket).Migrate(std::move(connection.fd), http.Save());
    }
    const bool sending = http.Answer(version, ticket.ShouldClose());
    const ssize_t size = sending ? Send(fd, &http.output) : Receive(fd, &http.input);
    ticket.SetBusy(!http.idle());
    if (size > 0) continue;
    if (size == 0 || errno != EAGAIN) return;  // the client has left, or zdd closes what is idle
    pollfd polled[] = {{fd, static_cast<short>(sending ? POLLOUT : POLLIN), 0}, {asked, POLLIN, 0}};
    // Of one that came back it is readable before it is asked again.
    poll(polled, 2, asked < 0 && ticket.Asked() == zdd::Ask::kNone ? 100 : -1);
    if (polled[1].revents != 0) asked = -1;  // it stays readable
  }
  zdd::CloseGently(std::move(connection.fd), std::move(ticket));
}

}  // namespace

int main(int argc, char** argv) {
  zdd::Options options;
  options.name = "hello";  // whatever program the next generation is: they know each other by that
  options.version = "threads";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  if (argc > 2) absl::ParseDuration(argv[2], &options.drain.grace);
  options.drain.spread = options.drain.grace;
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  zdd::ListenOptions listen;
  listen.migration_format = example::Http1::kFormat;
  absl::StatusOr<zdd::Listener> http =
      service->Listen("http", argc > 1 ? argv[1] : "tcp://127.0.0.1:8080", std::move(listen));
  if (!http.ok()) return zdd::Fail(http.status());
  absl::Status started = service->Start();
  if (!started.ok()) return zdd::Fail(started);
  while (absl::optional<zdd::Connection> connection = http->Accept()) {
    std::thread(Serve, *std::move(connection), service->generation()).detach();
  }
  return service->Wait().exit_code();
}
