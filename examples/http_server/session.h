// Serves HTTP/1.1 on one connection, with Boost.Asio: one request after the other, pipelined or
// not, until either side ends it or it moves to the next version of this server.
//
//   boost::asio::thread_pool pool(4);
//   example::Socket socket(boost::asio::make_strand(pool));
//   socket.assign(...);
//   example::StartSession(std::move(socket), std::move(connection.ticket), "v1");
//
// A session is a shell: it reads, writes and waits for a Conversation, which knows HTTP. What it
// does for zdd stands together in session.cc, under "what zdd asks". With an empty ticket it serves
// without zdd.
//
// Threads: any; a session lives on the socket's executor, which must be a strand if several threads
// run it. Lifetime: by itself. `version_label`, sent as X-Version, outlives the executor.
#ifndef EXAMPLES_HTTP_SERVER_SESSION_H_
#define EXAMPLES_HTTP_SERVER_SESSION_H_

#include <boost/asio/generic/stream_protocol.hpp>

#include "absl/strings/string_view.h"
#include "examples/http_server/state.h"
#include "zdd/drain/ticket.h"

namespace example {

// TCP or Unix.
using Socket = boost::asio::generic::stream_protocol::socket;

// `state`: of a connection that was served elsewhere until now.
void StartSession(Socket socket, zdd::Ticket ticket, absl::string_view version_label,
                  State state = {});

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_SESSION_H_
