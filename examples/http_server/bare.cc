// The same server without zdd: the same sessions and routes, accepted by Asio alone. Benchmarks
// compare http_server with it.
//
//   bazel run -c opt //examples/http_server:http_server_bare -- --listen=tcp://127.0.0.1:8080
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "examples/http_server/flags.h"
#include "examples/http_server/session.h"
#include "zdd/net/address.h"

ABSL_FLAG(std::string, listen, "tcp://127.0.0.1:8080", "where to listen: tcp://IP:PORT, unix:PATH");
ABSL_FLAG(std::string, version_label, "v1", "what X-Version says");
ABSL_FLAG(int, threads, 2, "how many serve");

namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

void Listen(Acceptor& acceptor, const zdd::Address& address) {
  acceptor.open(Protocol(address.family(), 0));
  acceptor.set_option(Acceptor::reuse_address(true));
  acceptor.bind(Protocol::endpoint(address.sockaddr(), address.size()));
  acceptor.listen(4096);
}

void AcceptNext(Acceptor& acceptor, asio::thread_pool& pool, const std::string& version_label) {
  acceptor.async_accept(asio::make_strand(pool), [&](boost::system::error_code error, auto socket) {
    if (!error) example::StartSession(std::move(socket), zdd::Ticket(), version_label);
    AcceptNext(acceptor, pool, version_label);
  });
}

}  // namespace

int main(int argc, char** argv) try {
  example::ParseFlags(argc, argv);
  absl::StatusOr<zdd::Address> address = zdd::Address::Parse(absl::GetFlag(FLAGS_listen));
  if (!address.ok()) example::DieOfFlag(address.status().message());
  if (absl::GetFlag(FLAGS_threads) < 1) example::DieOfFlag("--threads: at least 1");
  const std::string version_label = absl::GetFlag(FLAGS_version_label);

  asio::thread_pool pool(absl::GetFlag(FLAGS_threads));
  Acceptor acceptor(pool);
  Listen(acceptor, *address);
  AcceptNext(acceptor, pool, version_label);
  asio::signal_set stop(pool, SIGTERM, SIGINT);
  stop.async_wait([&pool](boost::system::error_code, int) { pool.stop(); });
  pool.join();
  return 0;
} catch (const boost::system::system_error& error) {
  std::fprintf(stderr, "http_server_bare: %s\n", error.what());
  return 1;
}
