// A chat: rooms with members, each a WebSocket at GET /chat?room=R&name=N. It replaces its own
// binary while they talk: every socket moves with its room and name, even inside a message that
// comes in fragments, and nobody leaves.
//
//   websocket_chat --listen=tcp://127.0.0.1:8080 --directory=/run/chat --pid_file=/run/chat/pid &
//   kill -USR2 $(cat /run/chat/pid)
//
// The connections of a room move one by one, so for a moment its members live in two processes. How
// they hear each other all the same, all in the same order and nothing twice: order.h.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "examples/http_server/flags.h"
#include "examples/websocket_chat/member.h"
#include "examples/websocket_chat/order.h"
#include "zdd/service.h"

ABSL_FLAG(std::string, listen, "tcp://127.0.0.1:8080", "where: tcp://IP:PORT or unix:PATH");
ABSL_FLAG(std::string, directory, "", "where the versions meet; exists, and is the user's own");
ABSL_FLAG(std::string, pid_file, "", "names the pid of the version that owns the service");
ABSL_FLAG(absl::Duration, standby, absl::Seconds(2), "the old version watches the new one so long");

namespace {

void Serve(zdd::Connection connection, boost::asio::io_context* io, chat::Order* order) {
  absl::optional<chat::MemberState> state = chat::MemberState();
  if (connection.moved) state = chat::Load(connection.state);
  if (!state) {
    std::fprintf(stderr, "websocket_chat: %s came with a state that is not chat/1\n",
                 connection.peer.ToString().c_str());
    return;
  }
  chat::Socket socket(*io);
  boost::system::error_code error;
  socket.assign({connection.peer.family(), 0}, connection.fd.get(), error);
  if (error) return;
  (void)connection.fd.Release();
  chat::StartMember(std::move(socket), std::move(connection.ticket), order, *std::move(state));
}

}  // namespace

int main(int argc, char** argv) {
  example::ParseFlags(argc, argv);
  // The one thread on which members, order and zdd's callbacks live.
  boost::asio::io_context io(1);
  auto work = boost::asio::make_work_guard(io);

  zdd::Options options;
  options.name = "chat";
  options.runtime_dir = absl::GetFlag(FLAGS_directory);
  options.pid_file = absl::GetFlag(FLAGS_pid_file);
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  options.standby = absl::GetFlag(FLAGS_standby);
  options.executor = [&io](zdd::Task task) {
    boost::asio::post(io, [task = std::make_shared<zdd::Task>(std::move(task))] { (*task)(); });
  };
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  zdd::ListenOptions listen;
  listen.migration_format = std::string(chat::kMemberFormat);
  absl::StatusOr<zdd::Listener> listener =
      service->Listen("chat", absl::GetFlag(FLAGS_listen), std::move(listen));
  if (!listener.ok()) return zdd::Fail(listener.status());

  chat::Order order(&io, absl::GetFlag(FLAGS_directory));
  absl::Status status = listener->OnConnection(
      [&](zdd::Connection connection) { Serve(std::move(connection), &io, &order); });
  if (!status.ok()) return zdd::Fail(status);
  status = service->AddReadinessCheck("order", [&] {
    return order.ready() ? absl::OkStatus() : absl::UnavailableError("nobody leads yet");
  });
  if (!status.ok()) return zdd::Fail(status);
  boost::asio::post(io, [&] { order.Start(); });
  std::thread thread([&io] { io.run(); });

  status = service->Start();
  const int code = status.ok() ? service->Wait().exit_code() : zdd::Fail(status);
  boost::asio::post(io, [&] { order.Finish([&io] { io.stop(); }); });
  thread.join();
  return code;
}
