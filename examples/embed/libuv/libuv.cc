// A server on its own libuv loop, which zdd shares: one thread, no locks. Its connections move to
// the successor.
//
//   ./libuv tcp://127.0.0.1:8080 10s &
//   curl -i http://127.0.0.1:8080/                   # X-Version: 1
//   cp libuv-2.0 libuv.new && mv libuv.new libuv
//   kill -USR2 $(pgrep -o libuv)                     # no client has to connect again
//   kill -TERM $(pgrep -o libuv)                     # drains, then ends
//
// What makes them move: nobody can take back what lies in libuv's queue of writes, so that is given
// little at a time, and all else that is known of a connection is in `http_`. uv_close() closes the
// fd, so it is a duplicate that moves.
//
// Limit: a client that reads nothing keeps its connection here, until the drain's deadline.
#include <fcntl.h>
#include <sys/socket.h>
#include <uv.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "examples/embed/http1.h"
#include "zdd/service.h"

namespace {

constexpr size_t kWriteBytesMax = 16 << 10;
constexpr uint64_t kLingerMs = 2000;

// One connection; new, moved here, or back because it could not move. Deletes itself.
class Session {
 public:
  Session(uv_loop_t* loop, int version) : version_(version) {
    uv_tcp_init(loop, &socket_);
    uv_timer_init(loop, &timer_);
    socket_.data = timer_.data = write_.data = this;
  }

  void Start(zdd::Connection connection) {
    ticket_ = std::move(connection.ticket);
    if (uv_tcp_open(&socket_, connection.fd.get()) != 0) return Close();
    (void)connection.fd.Release();
    if (!http_.Load(connection.state)) return Close();
    ticket_.OnAsk([this](zdd::Ask) { TakeTurn(); });  // zdd's loop is this one
    TakeTurn();
  }

 private:
  static Session* Self(void* data) { return static_cast<Session*>(data); }
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&socket_); }
  int fd() {
    uv_os_fd_t fd = -1;
    uv_fileno(reinterpret_cast<uv_handle_t*>(&socket_), &fd);
    return fd;
  }

  // Whatever happened: bytes came or went, an ask, or nothing.
  void TakeTurn() {
    const zdd::Ask asked = ticket_.Asked();
    if (asked == zdd::Ask::kCloseNow) return Close();
    if (writing_ || lingering_) return;
    if (asked == zdd::Ask::kMigrate && !http_.last) return Move();
    if (!Answer()) return Close();
    ticket_.SetBusy(!http_.idle());
    if (writing_) return (void)uv_read_stop(stream());
    if (http_.done() || (asked == zdd::Ask::kCloseWhenIdle && http_.idle() && NothingCame())) {
      Linger();
    }
    Read();
  }

  // False: the connection is broken.
  bool Answer() {
    while (!writing_ && http_.Answer(version_, ticket_.ShouldClose())) {
      uv_buf_t bytes = uv_buf_init(http_.output.data(), http_.output.size());
      const int size = uv_try_write(stream(), &bytes, 1);
      if (size > 0) http_.output.erase(0, size);
      if (size < 0 && (size != UV_EAGAIN || !Write())) return false;
    }
    return true;
  }

  // What is in libuv's queue stays in `output` until it is gone.
  bool Write() {
    uv_buf_t bytes =
        uv_buf_init(http_.output.data(), std::min(http_.output.size(), kWriteBytesMax));
    writing_ = bytes.len;
    return uv_write(&write_, stream(), &bytes, 1, [](uv_write_t* write, int status) {
             Self(write->data)->OnWritten(status);
           }) == 0;
  }

  void OnWritten(int status) {
    if (status != 0) return Close();
    http_.output.erase(0, std::exchange(writing_, 0));
    TakeTurn();
  }

  void Read() {
    auto allocate = [](uv_handle_t* socket, size_t, uv_buf_t* buffer) {
      Session* self = Self(socket->data);
      *buffer = uv_buf_init(self->buffer_, sizeof(self->buffer_));
    };
    uv_read_start(stream(), allocate, [](uv_stream_t* socket, ssize_t size, const uv_buf_t*) {
      Self(socket->data)->OnRead(size);
    });
  }

  void OnRead(ssize_t size) {
    if (size < 0) return Close();
    if (size == 0 || lingering_) return;
    http_.input.append(buffer_, size);
    TakeTurn();
  }

  // The request that may have come since the loop looked is not to be lost.
  bool NothingCame() {
    char byte;
    return recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
  }

  void Move() {
    zdd::OwnedFd moved(fcntl(fd(), F_DUPFD_CLOEXEC, 0));
    if (!moved.valid()) return Read();  // no descriptors left: it stays, until its goodbye
    zdd::Ticket ticket = std::move(ticket_);
    std::string state = http_.Save();
    Close();  // first, as that takes the socket out of the loop's epoll set
    std::move(ticket).Migrate(std::move(moved), std::move(state));
  }

  // What zdd::CloseGently() does, which would block.
  void Linger() {
    lingering_ = true;
    ticket_.SetBusy(true);
    shutdown(fd(), SHUT_WR);
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { Self(timer->data)->Close(); }, kLingerMs, 0);
  }

  void Close() {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&socket_))) return;
    ticket_.Reset();
    uv_close(reinterpret_cast<uv_handle_t*>(&socket_), [](uv_handle_t* socket) {
      auto* timer = reinterpret_cast<uv_handle_t*>(&Self(socket->data)->timer_);
      uv_close(timer, [](uv_handle_t* timer) { delete Self(timer->data); });
    });
  }

  const int version_;
  uv_tcp_t socket_;
  uv_timer_t timer_;
  uv_write_t write_;
  size_t writing_ = 0;  // bytes in libuv's queue
  bool lingering_ = false;
  char buffer_[4096];
  example::Http1 http_;
  zdd::Ticket ticket_;
};

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);  // libuv writes as write() does
  uv_loop_t* const loop = uv_default_loop();

  zdd::Options options;
  options.name = "hello";  // whatever program the next generation is: they know each other by that
  options.version = "libuv";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  if (argc > 2) absl::ParseDuration(argv[2], &options.drain.grace);
  options.drain.spread = options.drain.grace;
  options.loop = loop;
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  zdd::ListenOptions listen;
  listen.migration_format = example::Http1::kFormat;
  absl::StatusOr<zdd::Listener> http =
      service->Listen("http", argc > 1 ? argv[1] : "tcp://127.0.0.1:8080", std::move(listen));
  if (!http.ok()) return zdd::Fail(http.status());
  const int version = service->generation();
  absl::Status status = http->OnConnection([=](zdd::Connection connection) {
    (new Session(loop, version))->Start(std::move(connection));
  });
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  if (!status.ok()) return zdd::Fail(status);
  uv_run(loop, UV_RUN_DEFAULT);  // until the last connection is finished
  return service->Wait().exit_code();
}
