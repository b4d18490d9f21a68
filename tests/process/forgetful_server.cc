// The sessions of examples/http_server in a server that forgets one part of each connection that
// moves to it: its clients must notice, or the test that watches them is blind.
//
//   forgetful_server ADDRESS VERSION_FILE PART
//
// PART: nothing, input, output, phase, request, framing, digest, line.
#include <sys/socket.h>

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "examples/http_server/flags.h"
#include "examples/http_server/session.h"
#include "examples/http_server/state.h"
#include "zdd/service.h"

namespace {

void Forget(const std::string& part, example::State* state) {
  const example::State fresh;
  if (part == "input") state->input.clear();
  if (part == "output") state->output.clear();
  if (part == "phase") state->phase = fresh.phase;
  if (part == "request") state->request = fresh.request;
  if (part == "framing") state->framing = fresh.framing;
  if (part == "digest") state->digest = fresh.digest;
  if (part == "line") state->line = fresh.line;
}

absl::Status SetSendBuffer(int fd) {
  const int bytes = 16 << 10;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0) return absl::OkStatus();
  return absl::InternalError("setsockopt SO_SNDBUF");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string version = example::ReadFileIfAny(argv[2]);
  const std::string part = argv[3];
  zdd::Options options;
  options.name = "forgetful";
  options.version = version;
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM};
  options.standby = absl::Milliseconds(50);
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  zdd::ListenOptions listen;
  listen.migration_format = std::string(example::kStateFormat);
  listen.socket_hook = SetSendBuffer;
  absl::StatusOr<zdd::Listener> http = service->Listen("http", argv[1], std::move(listen));
  if (!http.ok()) return zdd::Fail(http.status());

  boost::asio::thread_pool pool(1);
  absl::Status status = http->OnConnection([&](zdd::Connection connection) {
    absl::optional<example::State> state = example::State();
    if (connection.moved) state = example::Load(connection.state);
    if (!state) return;
    Forget(part, &*state);
    example::Socket socket(boost::asio::make_strand(pool));
    socket.assign({connection.peer.family(), 0}, connection.fd.Release());
    example::StartSession(std::move(socket), std::move(connection.ticket), version,
                          *std::move(state));
  });
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  if (!status.ok()) return zdd::Fail(status);
  return service->Wait().exit_code();
}
