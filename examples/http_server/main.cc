// A real HTTP/1.1 server (Boost.Asio and Beast on a pool of threads) that replaces its own binary
// while its clients notice nothing: not even that their connections have moved.
//
//   bazel build -c opt //examples/http_server
//   bazel-bin/examples/http_server/http_server --version_label=v1 --pid_file=/tmp/http_server.pid &
//   curl http://127.0.0.1:8080/version
//
// Now build another version in its place, and:
//
//   kill -USR2 $(cat /tmp/http_server.pid)
//
// The new version takes over at once, the old one watches it for --standby, then drains and exits.
// If the new one fails before that, the old one serves again. `kill -TERM` drains and stops the
// service. What the server answers is listed in routes.h.
//
// With --migrate each connection moves to the new version in the midst of whatever it does: idle,
// in half a head or body, with half of a response sent, streaming, as a tunnel. Without, the old
// version answers its own connections to their end.
//
// What zdd needs of such a server: the lines of main() below, a part of session.cc, and, to move,
// that all a connection is can be written down (state.h).
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "examples/http_server/failure.h"
#include "examples/http_server/flags.h"
#include "examples/http_server/session.h"
#include "examples/http_server/state.h"
#include "zdd/service.h"

ABSL_FLAG(std::string, listen, "tcp://127.0.0.1:8080", "where: tcp://IP:PORT or unix:PATH");
ABSL_FLAG(std::string, version_label, "v1", "of this version: X-Version, and in reports");
ABSL_FLAG(std::string, version_file, "", "if given, the label is read from there at start");
ABSL_FLAG(std::string, runtime_dir, "", "where the versions meet; see zdd::Options");
ABSL_FLAG(std::string, pid_file, "", "names the pid of the version that owns the service");
ABSL_FLAG(int, threads, 0, "how many serve; 0: as many as there are cores");
ABSL_FLAG(absl::Duration, ready_timeout, absl::Seconds(60), "for a successor to get ready");
ABSL_FLAG(absl::Duration, standby, absl::Seconds(2), "the old version watches the new one so long");
ABSL_FLAG(bool, move_in_standby, false, "connections move to the new version at once, for a trial");
ABSL_FLAG(absl::Duration, silence, absl::Seconds(5),
          "a version that says nothing for so long is overruled");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(30), "then connections are cut");
ABSL_FLAG(absl::Duration, spread, absl::Seconds(10), "goodbyes are spread over this time");
ABSL_FLAG(bool, migrate, true, "connections move to the new version, in the format of state.h");
ABSL_FLAG(int, send_buffer, 0, "SO_SNDBUF of each connection; 0: the kernel's choice");
ABSL_FLAG(absl::Duration, grace, absl::Seconds(10), "an idle connection lives so much longer");

namespace {

namespace asio = boost::asio;

std::string VersionLabel() {
  const std::string file = absl::GetFlag(FLAGS_version_file);
  return file.empty() ? absl::GetFlag(FLAGS_version_label) : example::ReadFileIfAny(file);
}

zdd::Options ServiceOptions(const std::string& version_label) {
  zdd::Options options;
  options.name = "http_server";
  options.version = version_label;
  options.runtime_dir = absl::GetFlag(FLAGS_runtime_dir);
  options.pid_file = absl::GetFlag(FLAGS_pid_file);
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  options.ready_timeout = absl::GetFlag(FLAGS_ready_timeout);
  options.standby = absl::GetFlag(FLAGS_standby);
  options.move_in_standby = absl::GetFlag(FLAGS_move_in_standby);
  options.silence = absl::GetFlag(FLAGS_silence);
  options.drain.deadline = absl::GetFlag(FLAGS_drain_timeout);
  options.drain.spread = absl::GetFlag(FLAGS_spread);
  options.drain.grace = absl::GetFlag(FLAGS_grace);
  return options;
}

absl::Status SetSendBuffer(int fd) {
  const int bytes = absl::GetFlag(FLAGS_send_buffer);
  if (bytes <= 0) return absl::OkStatus();
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "--send_buffer: setsockopt SO_SNDBUF");
}

zdd::ListenOptions ListenOptions() {
  zdd::ListenOptions options;
  if (absl::GetFlag(FLAGS_migrate)) options.migration_format = std::string(example::kStateFormat);
  options.socket_hook = SetSendBuffer;
  return options;
}

int Threads() {
  int threads = absl::GetFlag(FLAGS_threads);
  if (threads < 0 || threads > 1000) example::DieOfFlag("--threads: from 0 to 1000");
  return threads > 0 ? threads : std::max(1u, std::thread::hardware_concurrency());
}

// A wrong flag ends in 2, all else in 1.
int Fail(const absl::Status& status) {
  int failed = zdd::Fail(status);
  return absl::IsInvalidArgument(status) ? 2 : failed;
}

// What a new connection is, or one that was served elsewhere until now.
absl::optional<example::State> StateOf(const zdd::Connection& connection) {
  if (!connection.moved) return example::State();
  absl::optional<example::State> state = example::Load(connection.state);
  if (!state) {
    std::fprintf(stderr, "http_server: a connection from %s came with %zu bytes that are no %s\n",
                 connection.peer.ToString().c_str(), connection.state.size(),
                 std::string(example::kStateFormat).c_str());
  }
  return state;
}

// From zdd's connection to Asio's. Until Asio has it, it belongs to `connection`.
void Serve(zdd::Connection connection, asio::thread_pool& pool, absl::string_view version_label) {
  absl::optional<example::State> state = StateOf(connection);
  if (!state) return;
  example::Socket socket(asio::make_strand(pool));
  boost::system::error_code error;
  socket.assign({connection.peer.family(), 0}, connection.fd.get(), error);
  if (error) return;
  (void)connection.fd.Release();
  example::StartSession(std::move(socket), std::move(connection.ticket), version_label,
                        *std::move(state));
}

}  // namespace

int main(int argc, char** argv) try {
  example::ParseFlags(argc, argv);
  const std::string version_label = VersionLabel();
  const int threads = Threads();
  const example::Failure failure = example::FailureFromFlags();
  example::FailAtStart(failure);

  asio::thread_pool pool(threads);
  zdd::Options options = ServiceOptions(version_label);
  // Sessions begin where they are served: a thread of the pool is not woken anew for each.
  options.executor = [strand = asio::make_strand(pool)](zdd::Task task) {
    asio::post(strand, std::move(task));
  };
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return Fail(service.status());
  absl::StatusOr<zdd::Listener> http =
      service->Listen("http", absl::GetFlag(FLAGS_listen), ListenOptions());
  if (!http.ok()) return Fail(http.status());

  // Asio opens its epoll with the first socket, or throws: here, where that can be told.
  example::Socket(asio::make_strand(pool)).close();
  absl::Status status = http->OnConnection(
      [&](zdd::Connection connection) { Serve(std::move(connection), pool, version_label); });
  if (!status.ok()) return Fail(status);
  status = service->AddReadinessCheck("fail", [&] { return example::FailReadiness(failure); });
  if (!status.ok()) return Fail(status);

  example::FailBeforeReady(failure);
  status = service->Start();
  if (!status.ok()) return Fail(status);
  example::FailAfterReady(failure, service->generation());
  return service->Wait().exit_code();
} catch (const boost::system::system_error& error) {  // Asio's: no threads, no descriptors
  return Fail(absl::ResourceExhaustedError(error.what()));
}
