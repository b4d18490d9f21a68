// A protocol of lines, as SMTP, FTP or Redis have one, with a goodbye that is a line: the server
// may speak at any time, so an idle client hears it too, and one whose request crossed it knows
// that the request was not begun.
//
//   ./line tcp://127.0.0.1:7000 10s &                # the goodbyes are spread over 10 s
//   nc 127.0.0.1 7000
//   zdd                                              # 250 hello zdd, from generation 1
//   kill -USR2 $(pgrep -o line)                      # 421 restarting, come back
//
// Threads: one for each connection. It waits in poll() for its client and for zdd.
#include <poll.h>
#include <sys/socket.h>

#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "zdd/service.h"

namespace {

constexpr char kGoodbye[] = "421 restarting, come back\r\n";

bool Send(int fd, const std::string& line) {  // short ones: they fit in the socket's buffer
  return send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
}

// Answers each line that is whole. False when the client does not listen any more.
bool Answer(int fd, std::string* input, int generation) {
  for (size_t end; (end = input->find("\r\n")) != std::string::npos; input->erase(0, end + 2)) {
    if (!Send(fd, "250 hello " + input->substr(0, end) + ", from generation " +
                      std::to_string(generation) + "\r\n")) {
      return false;
    }
  }
  return true;
}

void Serve(zdd::Connection connection, int generation) {
  const int fd = connection.fd.get();
  zdd::Ticket& ticket = connection.ticket;
  const int asked = ticket.AskedFd();
  std::string input;
  while (!ticket.ShouldClose()) {
    ticket.SetBusy(false);
    pollfd ready[] = {{fd, POLLIN, 0}, {asked, POLLIN, 0}};
    poll(ready, 2, -1);
    if (ready[0].revents == 0) continue;
    ticket.SetBusy(true);
    char bytes[1024];
    const ssize_t size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size <= 0) return;
    input.append(bytes, size);
    if (!Answer(fd, &input, generation)) return;
  }
  // A line that is under way, or half here, is not answered: this says so.
  if (Send(fd, kGoodbye)) zdd::CloseGently(std::move(connection.fd), std::move(ticket));
}

}  // namespace

int main(int argc, char** argv) {
  zdd::Options options;
  options.name = "line";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  if (argc > 2) absl::ParseDuration(argv[2], &options.drain.spread);
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  absl::StatusOr<zdd::Listener> lines =
      service->Listen("lines", argc > 1 ? argv[1] : "tcp://127.0.0.1:7000");
  if (!lines.ok()) return zdd::Fail(lines.status());
  absl::Status started = service->Start();
  if (!started.ok()) return zdd::Fail(started);
  while (absl::optional<zdd::Connection> connection = lines->Accept()) {
    std::thread(Serve, *std::move(connection), service->generation()).detach();
  }
  return service->Wait().exit_code();
}
