// gRPC embedded with zdd, which accepts for it: gRPC would shut down the listening sockets that it
// has itself, for the successor too.
//
//   ./grpc tcp://127.0.0.1:50051 30s &
//   cp grpc-2.0 grpc.new && mv grpc.new grpc
//   kill -USR2 $(pgrep -o grpc)                      # the file of now takes over
//   kill -TERM $(pgrep -o grpc)                      # drains, then ends
//
// The goodbye is gRPC's own: each connection gets its GOAWAY at a certain age, here 30 s more or
// less, in a restart or not; its calls are finished, and its channel connects again for the next
// one. So when a drain is older than that, nobody is left but calls that run. Server::Shutdown()
// alone says goodbye too, but cancels the calls that come before the clients have heard it.
//
// Any unary method answers with the generation, and so does each message of any stream.
//
// Threads: gRPC's, zdd's loop, and one that waits for the end. gRPC closes a connection without
// telling: one ticket stands for all of them.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "zdd/service.h"

namespace {

class Call : public grpc::ServerGenericBidiReactor {
 public:
  explicit Call(const std::string& answer) : slice_(answer), answer_(&slice_, 1) {
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);  // the client has said all
    StartWrite(&answer_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) StartRead(&request_);
    if (!ok) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  const grpc::Slice slice_;
  const grpc::ByteBuffer answer_;
  grpc::ByteBuffer request_;
};

class Hello : public grpc::CallbackGenericService {
 public:
  explicit Hello(int version) : answer_("Hello from generation " + std::to_string(version)) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Call(answer_);
  }

 private:
  const std::string answer_;
};

}  // namespace

int main(int argc, char** argv) {
  zdd::Options options;
  options.name = "grpc";
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM, SIGINT};
  absl::Duration age = absl::Seconds(30);
  if (argc > 2) absl::ParseDuration(argv[2], &age);
  const absl::Duration all_told = age * 1.1 + absl::Seconds(1);  // gRPC's jitter, and a round trip
  const absl::Duration calls_end = absl::Seconds(30);
  options.drain.deadline = all_told + calls_end;
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(std::move(options));
  if (!service.ok()) return zdd::Fail(service.status());
  absl::StatusOr<zdd::Listener> calls =
      service->Listen("grpc", argc > 1 ? argv[1] : "tcp://127.0.0.1:50051");
  if (!calls.ok()) return zdd::Fail(calls.status());

  Hello hello(service->generation());
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&hello);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(age)));
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  absl::Status status = calls->OnConnection([&](zdd::Connection connection) {
    connection.ticket.Reset();
    grpc::AddInsecureChannelFromFd(server.get(), connection.fd.Release());
  });
  if (!status.ok()) return zdd::Fail(status);

  zdd::Ticket running = service->Enter("grpc::Server");
  std::thread goodbye;
  status = service->OnState([&](zdd::State state) {
    if (state != zdd::State::kDraining) return;  // no connection comes after that
    goodbye = std::thread([&] {
      absl::SleepFor(all_told);
      server->Shutdown(absl::ToChronoTime(absl::Now() + calls_end));
      running.Reset();
    });
  });
  if (!status.ok()) return zdd::Fail(status);
  status = service->Start();
  const int exit_code = status.ok() ? service->Wait().exit_code() : zdd::Fail(status);
  if (goodbye.joinable()) goodbye.join();
  return exit_code;
}
