// A tunnel after an Upgrade: whatever comes is sent back, both directions at once. A client that
// does not read is not read from: at most two buffers are held for it.
//
// Its ticket is busy until the end, so that a drain waits for it until the deadline. A protocol
// with a goodbye of its own (WebSocket: close 1012) would say that in Ticket::OnAsk().
//
// Threads: as session.h. Lifetime: by itself, until the client ends its direction or the connection
// breaks.
#ifndef EXAMPLES_HTTP_SERVER_TUNNEL_H_
#define EXAMPLES_HTTP_SERVER_TUNNEL_H_

#include <string>

#include "examples/http_server/session.h"
#include "zdd/drain/ticket.h"

namespace example {

// `received` came before the tunnel was open, and is sent back first.
void StartTunnel(Socket socket, zdd::Ticket ticket, std::string received);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_TUNNEL_H_
