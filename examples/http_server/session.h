// Serves HTTP/1.1 on one connection, with Boost.Beast: one request after the other, pipelined or
// not, until either side ends it.
//
//   boost::asio::thread_pool pool(4);
//   example::Socket socket(boost::asio::make_strand(pool));
//   socket.assign(...);
//   example::StartSession(std::move(socket), std::move(connection.ticket), "v1");
//
// All that a session does for zdd is in session.cc, four lines: SetBusy twice, ShouldClose, and the
// ticket as its last member, so that it ends before the socket is closed. With an empty ticket it
// serves without zdd.
//
// Threads: any; a session lives on the socket's executor, which must be a strand if several threads
// run it. Lifetime: by itself. `version_label`, sent as X-Version, outlives the executor.
#ifndef EXAMPLES_HTTP_SERVER_SESSION_H_
#define EXAMPLES_HTTP_SERVER_SESSION_H_

#include <boost/asio/generic/stream_protocol.hpp>

#include "absl/strings/string_view.h"
#include "zdd/drain/ticket.h"

namespace example {

// TCP or Unix.
using Socket = boost::asio::generic::stream_protocol::socket;

void StartSession(Socket socket, zdd::Ticket ticket, absl::string_view version_label);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_SESSION_H_
