// A server that replaces itself and says its protocol's goodbye: a thread for each connection.
//
//   server http2|websocket ADDRESS [ANSWER_AFTER]
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "tests/goodbye/http2_talk.h"
#include "tests/goodbye/websocket_talk.h"
#include "zdd/base/time.h"
#include "zdd/service.h"

namespace {

std::unique_ptr<zdd::Talk> NewTalk(const std::string& protocol, int generation,
                                   absl::Duration answer_after) {
  if (protocol == "http2") return std::make_unique<zdd::Http2Talk>(generation, answer_after);
  return std::make_unique<zdd::WebSocketTalk>(generation);
}

int MsUntil(zdd::Instant instant) {
  if (instant == absl::InfiniteDuration()) return -1;
  const absl::Duration left = std::max(instant - zdd::MonotonicNow(), absl::ZeroDuration());
  return static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
}

bool SendAll(int fd, const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    pollfd writable = {fd, POLLOUT, 0};
    poll(&writable, 1, -1);
    const ssize_t size = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size < 0) return false;
    sent += size;
  }
  return true;
}

// False at the end of the connection.
bool ReadInto(zdd::Talk* talk, int fd) {
  char bytes[16384];
  const ssize_t size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN;
  return size > 0 && talk->OnBytes({bytes, static_cast<size_t>(size)}, zdd::MonotonicNow()).ok();
}

void Serve(zdd::Connection connection, std::unique_ptr<zdd::Talk> talk) {
  const int fd = connection.fd.get();
  zdd::Ticket& ticket = connection.ticket;
  int asked = ticket.AskedFd();
  while (!talk->done()) {
    pollfd ready[] = {{fd, POLLIN, 0}, {asked, POLLIN, 0}};
    poll(ready, 2, MsUntil(talk->next()));
    if (ready[1].revents != 0) asked = -1;
    talk->OnAsk(ticket.Asked(), zdd::MonotonicNow());
    if (!ReadInto(talk.get(), fd)) return;
    talk->OnTime(zdd::MonotonicNow());
    ticket.SetBusy(talk->busy());
    if (!SendAll(fd, talk->TakeBytes())) return;
  }
  zdd::CloseGently(std::move(connection.fd), std::move(connection.ticket));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string protocol = argv[1];
  absl::Duration answer_after = absl::Milliseconds(5);
  if (argc > 3 && !absl::ParseDuration(argv[3], &answer_after)) return 2;
  zdd::Options options;
  options.name = "goodbye";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  options.standby = absl::Milliseconds(100);
  options.drain.spread = absl::Milliseconds(500);
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  absl::StatusOr<zdd::Listener> listener = service->Listen(protocol, argv[2]);
  if (!listener.ok()) return zdd::Fail(listener.status());
  absl::Status started = service->Start();
  if (!started.ok()) return zdd::Fail(started);
  while (absl::optional<zdd::Connection> connection = listener->Accept()) {
    std::thread(Serve, *std::move(connection),
                NewTalk(protocol, service->generation(), answer_after))
        .detach();
  }
  return service->Wait().exit_code();
}
