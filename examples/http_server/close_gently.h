// CloseGently ends a connection so that its last response arrives. Closing a socket with unread
// bytes (one more pipelined request is enough) resets the connection, and that destroys what the
// client has not read yet. So: end this direction, read until the client ends its own, then close.
// It is zdd::CloseGently for Asio.
//
//   example::CloseGently(std::move(socket_), std::move(ticket_));
//
// A drain waits for it: the ticket is busy meanwhile.
//
// Threads: as session.h. Lifetime: by itself, two seconds or a megabyte at most.
#ifndef EXAMPLES_HTTP_SERVER_CLOSE_GENTLY_H_
#define EXAMPLES_HTTP_SERVER_CLOSE_GENTLY_H_

#include "examples/http_server/session.h"
#include "zdd/drain/ticket.h"

namespace example {

// REQUIRES: no operation is pending on `socket`.
void CloseGently(Socket socket, zdd::Ticket ticket);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_CLOSE_GENTLY_H_
