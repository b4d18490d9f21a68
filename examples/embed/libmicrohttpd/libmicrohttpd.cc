// GNU libmicrohttpd embedded with zdd, which accepts for it. A connection cannot move, as the
// library does not let go of one; it says goodbye.
//
//   ./libmicrohttpd tcp://127.0.0.1:8080 10s &       # clients think for less than 10 s
//   curl -i http://127.0.0.1:8080/                   # X-Version: 1
//   cp libmicrohttpd-2.0 mhd.new && mv mhd.new libmicrohttpd
//   kill -USR2 $(pgrep -o libmicrohttpd)             # the file of now takes over
//   kill -TERM $(pgrep -o libmicrohttpd)             # drains, then ends
//
// The library gets a duplicate of each fd: it closes what it has without reading the rest, which
// would reset the connection and destroy its last response. It ends its direction first, so the
// client notices; what follows is ours.
//
// Threads: one of the library's, and zdd's loop, which gives it connections.
// Limits: two descriptors for each connection. A connection counts as idle until its request line
// is whole.
#include <fcntl.h>
#include <microhttpd.h>

#include <csignal>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "zdd/service.h"

namespace {

// By default some 1000, and what comes then is accepted and closed.
constexpr unsigned kConnectionsMax = 1'000'000;

class HttpServer {
 public:
  explicit HttpServer(int version)
      : version_(std::to_string(version)),
        daemon_(MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC, 0, nullptr,
            nullptr, &Answer, this, MHD_OPTION_CONNECTION_LIMIT, kConnectionsMax,
            MHD_OPTION_NOTIFY_CONNECTION, &OnConnection, this, MHD_OPTION_URI_LOG_CALLBACK,
            &OnRequestLine, this, MHD_OPTION_NOTIFY_COMPLETED, &OnSent, this, MHD_OPTION_END)) {}
  ~HttpServer() {
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
  }

  bool running() const { return daemon_ != nullptr; }

  void Serve(zdd::Connection connection) {
    const int fd = fcntl(connection.fd.get(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return;  // no descriptors left
    connection.ticket.SetBusy(false);
    const zdd::Address peer = connection.peer;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      coming_[fd] = std::move(connection);
    }
    if (MHD_add_connection(daemon_, fd, peer.sockaddr(), peer.size()) == MHD_NO) Take(fd);
  }

 private:
  static zdd::Connection* Of(MHD_Connection* connection) {
    const MHD_ConnectionInfo* info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return static_cast<zdd::Connection*>(info->socket_context);
  }

  zdd::Connection Take(int fd) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto it = coming_.find(fd);
    zdd::Connection connection = std::move(it->second);
    coming_.erase(it);
    return connection;
  }

  static void OnConnection(void* self, MHD_Connection* connection, void** context,
                           MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      const int fd =
          MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
      *context = new zdd::Connection(static_cast<HttpServer*>(self)->Take(fd));
    } else {
      std::unique_ptr<zdd::Connection> ours(static_cast<zdd::Connection*>(*context));
      std::thread([ours = std::move(*ours)]() mutable {
        zdd::CloseGently(std::move(ours.fd), std::move(ours.ticket));
      }).detach();
    }
  }

  static void* OnRequestLine(void*, const char*, MHD_Connection* connection) {
    Of(connection)->ticket.SetBusy(true);
    return nullptr;
  }

  // Called for the head, for each part of a body, and at the end. An answer before that would be
  // the last one of its connection.
  static MHD_Result Answer(void* self, MHD_Connection* connection, const char*, const char*,
                           const char*, const char*, size_t* body_size, void** begun) {
    if (*begun == nullptr || *body_size > 0) {
      *begun = self;
      *body_size = 0;
      return MHD_YES;
    }
    static char hello[] = "Hello from libmicrohttpd\n";
    MHD_Response* response =
        MHD_create_response_from_buffer(sizeof(hello) - 1, hello, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "X-Version",
                            static_cast<HttpServer*>(self)->version_.c_str());
    if (Of(connection)->ticket.ShouldClose()) {
      MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    const MHD_Result queued = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return queued;
  }

  static void OnSent(void*, MHD_Connection* connection, void**, MHD_RequestTerminationCode) {
    Of(connection)->ticket.SetBusy(false);
  }

  const std::string version_;
  std::mutex mutex_;
  std::map<int, zdd::Connection> coming_;  // given to the library, by its fd, and not begun yet
  MHD_Daemon* const daemon_;
};

}  // namespace

int main(int argc, char** argv) {
  zdd::Options options;
  options.name = "libmicrohttpd";
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
  if (!server.running()) return zdd::Fail(absl::InternalError("libmicrohttpd does not start"));
  absl::Status status =
      http->OnConnection([&](zdd::Connection connection) { server.Serve(std::move(connection)); });
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  if (!status.ok()) return zdd::Fail(status);
  return service->Wait().exit_code();
}
